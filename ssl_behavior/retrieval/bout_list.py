"""`BoutList`: found bouts as a sequence, with the rows that they lie in."""

from collections.abc import Sequence
from typing import Any, TypeVar

from ssl_behavior.bouts import Span
from ssl_behavior.embeddings_folder import EmbeddingRow, bout_columns
from ssl_behavior.reprs import Described, data_frame

__all__ = ["BoutList"]

Bout = TypeVar("Bout", bound=Span)


class BoutList(Described, Sequence[Bout]):
    """Bouts, the best first.

    Parameters
    ----------
    bouts : the bouts.
    rows : row of each bout.
    """

    def __init__(self, bouts: Sequence[Bout], rows: Sequence[EmbeddingRow]) -> None:
        self.bouts, self.rows = tuple(bouts), tuple(rows)

    def __len__(self) -> int:
        return len(self.bouts)

    def __getitem__(self, place: Any) -> Any:
        return self.bouts[place]

    def _frame_with(self, **fields: str) -> Any:
        """A pandas DataFrame: recording, agent and target where rows have them, frames, seconds, and further columns.

        Parameters
        ----------
        fields : column -> field of the bouts in it.
        """
        columns = bout_columns(self.rows, [bout.start for bout in self.bouts], [bout.stop for bout in self.bouts])
        return data_frame(columns | {name: [getattr(one, own) for one in self.bouts] for name, own in fields.items()})
