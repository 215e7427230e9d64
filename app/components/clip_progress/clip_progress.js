const BETWEEN = 30; // milliseconds from an answer of the server to the next question
const AFTER_MISS = 1000; // milliseconds to the next question where the server did not answer
const AFTER_REPORT = 2000; // milliseconds after which a report that may be lost is repeated
const MISSES = 20; // answers missing one after the other that end it

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  parentElement.memory ||= { round: 0, shown: false };
  const memory = parentElement.memory;
  memory.round += 1;
  const round = memory.round;
  const bar = parentElement.querySelector("progress");
  const text = parentElement.querySelector("span");
  const isLatest = () => memory.round === round && bar.isConnected;

  function show(now) {
    bar.value = now.known / now.total;
    text.textContent = sentence(now);
  }

  /** Ask the server again and again, until there is more to see than the page shows. */
  async function follow() {
    const begin = performance.now();
    let misses = 0;
    while (isLatest() && misses < MISSES) {
      const answer = await fetch(data.url, { cache: "no-store" }).catch(() => null);
      if (!isLatest()) return;
      if (!answer?.ok) {
        misses += 1;
        await sleep(AFTER_MISS);
        continue;
      }
      misses = 0;
      const now = await answer.json();
      if (!isLatest()) return;
      show(now);
      const waited = performance.now() - begin > data.redraw;
      const more = now.stages > data.stages || (now.known > data.known && waited);
      if (more || now.failed) setTriggerValue("more", now.known);
      await sleep(more || now.failed ? AFTER_REPORT : BETWEEN);
    }
  }

  if (!memory.shown) {
    memory.shown = true;
    show(data);
  }
  follow();
}

function sentence(now) {
  if (now.waking) return "Asking CLIP about this crop; the first time it takes a few seconds to start";
  const seconds = Math.max(1, now.seconds);
  return `CLIP has been asked about ${now.known} of ${now.total} crops of this image, ${seconds} s left`;
}

function sleep(milliseconds) {
  return new Promise((done) => setTimeout(done, milliseconds));
}
