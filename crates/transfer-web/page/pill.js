// @ts-check
/** The status of a transfer: word, icon and colour, always together. */
import { glyph, html, setAttribute, setGlyph, setText } from './dom.js';
import { isRecord, record, text } from './outside.js';

/** @typedef {{word: string, tone: string, picture: string}} Status */

/** @type {Record<string, Status>} */
const STATUSES = {
  RUNNING: { word: 'Running', tone: 'now', picture: 'now' },
  COMPLETED: { word: 'Completed', tone: 'good', picture: 'done' },
  FAILED: { word: 'Failed', tone: 'bad', picture: 'failed' },
  CANCELED: { word: 'Canceled', tone: 'over', picture: 'ended' },
  TERMINATED: { word: 'Terminated', tone: 'over', picture: 'ended' },
  TIMED_OUT: { word: 'Timed out', tone: 'bad', picture: 'failed' },
  CONTINUED_AS_NEW: { word: 'Continued', tone: 'over', picture: 'ended' },
};
/** @type {Status} */
const STUCK = { word: 'Stuck', tone: 'stuck', picture: 'failing' };
/** @type {Status} */
const PAUSED = { word: 'Paused', tone: 'over', picture: 'paused' };

/**
 * @param {Record<string, any>} row
 * @returns {Status}
 */
export function statusOf(row) {
  const name = text(row.status, 40);
  if (name === 'RUNNING' && isRecord(row.stuck)) return record(row.stuck).state === 'paused' ? PAUSED : STUCK;
  return Object.hasOwn(STATUSES, name) ? STATUSES[name] : { word: name || 'Unknown', tone: 'over', picture: 'todo' };
}

/** A status as it is shown everywhere: icon and word. */
export function statusPill() {
  const picture = glyph('todo');
  const word = html('span', { class: 'clip' });
  const element = html('span', { class: 'status' }, picture, word);
  return {
    element,
    /** @param {Status} status */
    update(status) {
      setAttribute(element, 'data-tone', status.tone);
      setGlyph(picture, status.picture);
      setText(word, status.word);
    },
  };
}
