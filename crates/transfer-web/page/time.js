// @ts-check
/**
 * Time: the server's clock, formatting of durations, and the one timer that all countdowns share.
 */

/** How many seconds the server's clock is ahead of this machine's. They may differ if the browser runs on another machine. */
let ahead = 0;

/**
 * Sets the clock from the `now` of an event.
 * @param {unknown} serverNow seconds since 1970
 */
export function setClock(serverNow) {
  if (typeof serverNow === 'number' && Number.isFinite(serverNow)) ahead = serverNow - Date.now() / 1000;
}

/** @returns {number} the server's time, in seconds since 1970 */
export function now() {
  return Date.now() / 1000 + ahead;
}

/**
 * A duration in words: `7 s`, `4 min`, `3 h`, `2 days`.
 * @param {number} seconds
 */
export function span(seconds) {
  const s = Math.max(0, seconds);
  if (s < 10 && s % 1 > 0.05 && s % 1 < 0.95) return `${s.toFixed(1)} s`;
  if (s < 100) return `${Math.round(s)} s`;
  if (s < 100 * 60) return `${Math.round(s / 60)} min`;
  if (s < 48 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
}

/**
 * How long ago a time was.
 * @param {number} time seconds since 1970
 */
export function ago(time) {
  const seconds = Math.floor(now() - time);
  return seconds < 1 ? 'just now' : `${span(seconds)} ago`;
}

/**
 * The time of day, such as `12:05:01`; with the date unless that is today.
 * @param {unknown} time seconds since 1970, or a text such as `2026-11-22T12:05:01Z`
 */
export function clock(time) {
  if (typeof time !== 'number' && typeof time !== 'string') return '';
  const date = new Date(typeof time === 'number' ? time * 1000 : time);
  if (Number.isNaN(date.getTime())) return '';
  const day = date.toDateString() === new Date().toDateString() ? '' : `${date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })}, `;
  return `${day}${date.toLocaleTimeString('en-GB', { hour12: false })}`;
}

/**
 * A time for a `datetime` attribute, or null if it is invalid.
 * @param {number} time seconds since 1970
 */
export function machineTime(time) {
  const date = new Date(time * 1000);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {number | undefined} */
let timer;

function beat() {
  for (const listener of listeners) listener();
}

/** The timer is stopped while the page is hidden. */
function startOrStop() {
  clearInterval(timer);
  if (document.hidden) return;
  beat();
  timer = setInterval(beat, 1000);
}

document.addEventListener('visibilitychange', startOrStop);
startOrStop();

/**
 * Calls `listener` every second while the page is visible, and at once when it becomes visible again.
 * @param {() => void} listener
 */
export function everySecond(listener) {
  listeners.add(listener);
}
