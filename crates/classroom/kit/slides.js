// @ts-check
// Moves through the slides, by keys and buttons. Without it, the slides are one long page.

const slides = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".slide")]);
const notes = /** @type {HTMLElement} */ (document.getElementById("notes"));
const place = /** @type {HTMLElement} */ (document.getElementById("place"));
let at = 0;

/** @param {number} to the index of a slide */
function show(to) {
  at = Math.min(Math.max(to, 0), slides.length - 1);
  slides.forEach((slide, index) => { slide.hidden = index !== at; });
  place.textContent = `${at + 1} of ${slides.length}`;
  // So that a reload stays on the slide.
  history.replaceState(null, "", `#${at + 1}`);
  window.scrollTo(0, 0);
}

function toggleNotes() {
  notes.setAttribute("aria-pressed", String(document.body.classList.toggle("with-notes")));
}

/** @type {Record<string, () => void>} */
const keys = {
  ArrowRight: () => show(at + 1),
  ArrowDown: () => show(at + 1),
  PageDown: () => show(at + 1),
  " ": () => show(at + 1),
  ArrowLeft: () => show(at - 1),
  ArrowUp: () => show(at - 1),
  PageUp: () => show(at - 1),
  Home: () => show(0),
  End: () => show(slides.length - 1),
  n: toggleNotes,
  N: toggleNotes,
};

document.addEventListener("keydown", (event) => {
  const isOnButton = event.target instanceof HTMLButtonElement && event.key === " ";
  const action = event.ctrlKey || event.altKey || event.metaKey || isOnButton ? undefined : keys[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
});
document.getElementById("previous")?.addEventListener("click", () => show(at - 1));
document.getElementById("next")?.addEventListener("click", () => show(at + 1));
notes.addEventListener("click", toggleNotes);
show((Number.parseInt(location.hash.slice(1), 10) || 1) - 1);
