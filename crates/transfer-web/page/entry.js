// @ts-check
/** What this browser remembers of a stage until the stage starts again or the lab is reset: the hints shown, and the tasks done. */
import { list, number, record, text } from './outside.js';

/** The name in the browser's storage. */
const NAME = 'stage-entry';

/** @typedef {{entry: string, hints: number, passed: number[]}} Entry */

/** For browsers without local storage. @type {Entry} */
let last = { entry: '', hints: 0, passed: [] };

/**
 * The name of this entry of the stage.
 * @param {Record<string, any>} guide
 */
export function nameOf(guide) {
  return `${text(guide.stage, 120)} ${text(guide.entered, 60)}`;
}

/** @returns {Record<string, any>} */
function stored() {
  try {
    return record(JSON.parse(localStorage.getItem(NAME) ?? 'null'));
  } catch {
    return last;
  }
}

/**
 * @param {Record<string, any>} guide
 * @returns {Entry} what is remembered of this entry of the stage
 */
export function recall(guide) {
  const entry = nameOf(guide);
  const found = [stored(), last].find((one) => one.entry === entry) ?? {};
  return {
    entry,
    hints: Math.max(0, Math.floor(number(found.hints) ?? 0)),
    passed: list(found.passed).filter((one) => number(one) !== null),
  };
}

/**
 * @param {Record<string, any>} guide
 * @param {Partial<Entry>} news
 */
export function remember(guide, news) {
  last = { ...recall(guide), ...news };
  try {
    localStorage.setItem(NAME, JSON.stringify(last));
  } catch {
    // Without storage, the page remembers until it is closed.
  }
}
