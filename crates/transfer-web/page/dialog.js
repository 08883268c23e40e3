// @ts-check
/** Dialogs. The browser's own `<dialog>` sees to Escape, to keeping the focus inside, and to giving it back. */

/**
 * Opens a dialog, which a click beside it closes.
 * @param {HTMLDialogElement} dialog
 */
export function openDialog(dialog) {
  if (!dialog.open) dialog.showModal();
}

/**
 * Lets a click beside a dialog and these buttons close it.
 * @param {HTMLDialogElement} dialog
 * @param {HTMLElement[]} closers
 */
export function prepareDialog(dialog, ...closers) {
  for (const closer of closers) closer.addEventListener('click', () => dialog.close());
  // What is clicked is the dialog itself only where none of its content is: on its padding or beside it.
  dialog.addEventListener('click', (event) => {
    if (event.target !== dialog) return;
    const box = dialog.getBoundingClientRect();
    const inside =
      event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) dialog.close();
  });
}
