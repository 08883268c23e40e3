// @ts-check
/** Dialogs. The browser's `<dialog>` handles Escape, keeps the focus inside, and restores it. */

/**
 * Opens a dialog.
 * @param {HTMLDialogElement} dialog
 */
export function openDialog(dialog) {
  if (!dialog.open) dialog.showModal();
}

/**
 * Whether this happened outside the dialog. The event's target is the dialog itself only on its padding or outside it.
 * @param {HTMLDialogElement} dialog
 * @param {MouseEvent} event
 */
function isOutside(dialog, event) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  const { clientX: x, clientY: y } = event;
  return event.target === dialog && (x < left || x > right || y < top || y > bottom);
}

/**
 * Closes a dialog on a click outside it or on one of these buttons.
 * @param {HTMLDialogElement} dialog
 * @param {HTMLElement[]} closers
 */
export function prepareDialog(dialog, ...closers) {
  for (const closer of closers) closer.addEventListener('click', () => dialog.close());
  // A selection of text may end outside, which is a click there.
  let beganOutside = false;
  dialog.addEventListener('pointerdown', (event) => {
    beganOutside = isOutside(dialog, event);
  });
  dialog.addEventListener('click', (event) => {
    if (beganOutside && isOutside(dialog, event)) dialog.close();
  });
}
