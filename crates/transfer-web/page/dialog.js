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
 * Closes a dialog on a click outside it or on one of these buttons.
 * @param {HTMLDialogElement} dialog
 * @param {HTMLElement[]} closers
 */
export function prepareDialog(dialog, ...closers) {
  for (const closer of closers) closer.addEventListener('click', () => dialog.close());
  // The event's target is the dialog itself only for a click on its padding or outside it.
  dialog.addEventListener('click', (event) => {
    if (event.target !== dialog) return;
    const box = dialog.getBoundingClientRect();
    const inside =
      event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) dialog.close();
  });
}
