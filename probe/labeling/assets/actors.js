// Rows and their animals, in the form that the report's drawing code takes.

/** Numbers of a row's agent and target among the individuals; -1 for none. */
export function actorsOf(project, { agent, target }) {
  const number = (name) => (name ? project.individuals.indexOf(name) : -1);
  return { agentNumber: number(agent), targetNumber: number(target) };
}

/** Numbers of the animals that a row is about: its own, or all. */
export function animalsOf(project, actors) {
  const own = [actors.agentNumber, actors.targetNumber].filter((animal) => animal >= 0);
  return own.length ? own : d3.range(project.individuals.length);
}

/** The recording of an id. */
export function recordingOf(project, id) {
  return project.recordings.find((one) => one.id === id);
}

/** The recording and the row of a row's id; null for none. */
export function rowOf(project, id) {
  for (const recording of project.recordings) {
    const row = recording.rows.find((one) => one.id === id);
    if (row) return { recording, row };
  }
  return null;
}

/** The coordinates of some animals of a pose. */
export function ofAnimals(project, pose, animals) {
  const width = 2 * project.skeleton.keypoints.length;
  return animals.flatMap((animal) => [...pose.subarray(animal * width, (animal + 1) * width)]);
}

/** Names of a row's animals in their tints: who acts, and on whom. */
export function actorNames(project, row) {
  const actors = actorsOf(project, row);
  const name = (animal, text) => element("span", { class: `animal a${animal % ANIMALS.length}` }, text);
  if (actors.agentNumber < 0) return [];
  if (actors.targetNumber < 0) return [name(actors.agentNumber, row.agent)];
  return [name(actors.agentNumber, row.agent), element("span", {}, "→"), name(actors.targetNumber, row.target)];
}
