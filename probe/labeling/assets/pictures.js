// The picture that a video shows, together with its time: the two are taken at once, so that they belong together.

/** The newest picture of a video and its time in seconds, kept until the next one. */
export function makePictures(video) {
  return typeof VideoFrame === "undefined" ? makeCopies(video) : makeFrames(video);
}

/** Pictures that say their own time. */
function makeFrames(video) {
  let held = null;
  const hold = (next) => {
    held?.image.close();
    held = next;
  };
  return {
    knowsTime: true,
    latest: () => held,
    forget: () => hold(null),
    /** Take the picture; false where the browser has none at the moment. */
    take() {
      try {
        const image = new VideoFrame(video);
        hold({ image, seconds: image.timestamp / 1e6 });
        return true;
      } catch {
        return false;
      }
    },
  };
}

/** Copies, with the time that the caller knows. Pages from another machine, without encryption, have no VideoFrame.
 * While a video plays on a busy machine, a copy may be of the next frame; at rest it never is. */
function makeCopies(video) {
  const canvas = document.createElement("canvas");
  let held = null;
  return {
    knowsTime: false,
    latest: () => held,
    forget: () => (held = null),
    take(seconds) {
      if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return false;
      if (canvas.width !== video.videoWidth || canvas.height !== video.videoHeight) Object.assign(canvas, { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      held = { image: canvas, seconds };
      return true;
    },
  };
}
