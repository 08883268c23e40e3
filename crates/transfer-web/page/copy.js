// @ts-check
/** Copy buttons: everything with class `copy` and a `data-copy`, also those in the stage's text, which the server made. */
import { announce } from './announce.js';
import { html } from './dom.js';

/** How long a button says that it has copied, in milliseconds. */
const SHOWN = 1800;

/**
 * @param {string} what
 * @param {string} [className]
 * @returns {HTMLButtonElement}
 */
export function copyButton(what, className = 'copy') {
  const button = html('button', { type: 'button', class: className }, 'Copy');
  setCopy(button, what);
  return button;
}

/**
 * Says what a copy button copies, also to those who hear only "Copy, Copy, Copy".
 * @param {HTMLElement} button
 * @param {string} what
 */
export function setCopy(button, what) {
  if (button.dataset.copy === what && button.hasAttribute('aria-label')) return;
  button.dataset.copy = what;
  button.setAttribute('aria-label', `Copy ${what.slice(0, 120)}`);
}

/**
 * A command with its copy button.
 * @param {string} line
 * @returns {HTMLElement}
 */
export function command(line) {
  return html('div', { class: 'command' }, html('code', {}, line), copyButton(line));
}

/**
 * For browsers and pages without the clipboard's API: a selection is copied.
 * @param {string} what
 */
function copyBySelection(what) {
  const before = document.activeElement;
  const field = html('textarea', { class: 'visually-hidden', 'aria-hidden': 'true', tabindex: -1 });
  field.value = what;
  // Inside an open dialog nothing outside of it can be selected.
  (document.querySelector('dialog[open]') ?? document.body).append(field);
  field.select();
  let done = false;
  try {
    done = document.execCommand('copy');
  } catch {
    done = false;
  }
  field.remove();
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  return done;
}

/** @param {string} what */
async function copy(what) {
  try {
    await navigator.clipboard.writeText(what);
    return true;
  } catch {
    return copyBySelection(what);
  }
}

/** Makes every copy button work, those to come as well. */
export function startCopying() {
  /** @type {WeakMap<HTMLElement, number>} */
  const timers = new WeakMap();
  document.addEventListener('click', async (event) => {
    const button = event.target instanceof Element ? event.target.closest('.copy') : null;
    if (!(button instanceof HTMLElement)) return;
    const what = button.dataset.copy ?? '';
    const done = await copy(what);
    announce(done ? `Copied: ${what.slice(0, 120)}` : 'That could not be copied. Select it and copy it yourself.');
    const label = button.getAttribute('aria-label');
    button.textContent = done ? 'Copied' : 'Not copied';
    button.dataset.copied = String(done);
    if (label) button.setAttribute('aria-label', label.replace(/^(Copy|Copied|Not copied)\b/, button.textContent));
    clearTimeout(timers.get(button));
    timers.set(button, setTimeout(() => {
      button.textContent = 'Copy';
      delete button.dataset.copied;
      button.setAttribute('aria-label', `Copy ${(button.dataset.copy ?? '').slice(0, 120)}`);
    }, SHOWN));
  });
}
