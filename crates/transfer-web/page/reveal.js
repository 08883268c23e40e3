// @ts-check
/** Takes the learner to an element of the page: opens its tab and its details, scrolls to it, focuses it and highlights it. */
import { openTabAround } from './tabs.js';

/** How long an element stays highlighted. */
const HIGHLIGHT_MS = 2000;

/** @type {WeakMap<Element, number>} */
const timers = new WeakMap();

/** @param {HTMLElement} element */
function highlight(element) {
  clearTimeout(timers.get(element));
  element.classList.add('revealed');
  timers.set(element, setTimeout(() => element.classList.remove('revealed'), HIGHLIGHT_MS));
}

/** Opens the tab and the details around an element. @param {Element} element */
function openAround(element) {
  openTabAround(element);
  for (let at = element.parentElement; at; at = at.parentElement) {
    if (at instanceof HTMLDetailsElement) at.open = true;
  }
}

/**
 * Shows this element, focuses it and highlights it for a moment.
 * @param {string | HTMLElement} id an element, or its id
 * @returns {boolean} whether it was found, and is visible now
 */
export function reveal(id) {
  const element = typeof id === 'string' ? document.getElementById(id) : id;
  if (!element) return false;
  openAround(element);
  if (!element.checkVisibility()) return false;
  element.scrollIntoView({ block: 'center', inline: 'nearest' });
  element.focus({ preventScroll: true });
  if (document.activeElement !== element && !element.hasAttribute('tabindex')) {
    element.tabIndex = -1;
    element.focus({ preventScroll: true });
  }
  highlight(element);
  return true;
}
