// @ts-check
/** Announcements for screen readers: results of actions, goals reached, and failures. */
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
  // Emptied first and filled a moment later, so that a repeated sentence is read again.
  byId('announcer').textContent = '';
  timer = setTimeout(() => {
    byId('announcer').textContent = waiting.join(' ');
    waiting = [];
  }, 120);
}
