// @ts-check
/** Says things to people who do not see the page. Only what matters: what was done, what was reached, what has broken. */
import { byId } from './dom.js';

/** @type {number | undefined} */
let timer;
/** @type {string[]} */
let waiting = [];

/**
 * @param {string} sentence
 */
export function announce(sentence) {
  waiting.push(sentence);
  clearTimeout(timer);
  // An emptied region is filled a moment later: so the same sentence is read again when it is said again.
  byId('announcer').textContent = '';
  timer = setTimeout(() => {
    byId('announcer').textContent = waiting.join(' ');
    waiting = [];
  }, 120);
}
