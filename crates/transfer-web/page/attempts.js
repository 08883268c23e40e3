// @ts-check
/**
 * The attempts of a stuck transfer on a timeline, which makes the backoff visible. Each failed attempt is a dot: filled if
 * it was observed, hollow if it was estimated from the retry policy. The ring is the next attempt, and the line grows
 * towards it.
 */
import { html, setAttribute, setText, svg } from './dom.js';
import { list, number, record, text } from './outside.js';
import { now, span } from './time.js';

/** The latest attempts are shown; earlier ones are only counted. */
const MOST = 10;
/** A gap narrower than this, in percent of the line, is too narrow for its label. */
const ROOM = 8;
/** The smallest distance of two dots, in percent of the line; closer ones would overlap. */
const APART = 3.4;
/** Where the line begins and ends, in percent of the picture. */
const BEGIN = 2;
const END = 97;
/** How many gaps the text alternative lists. */
const GAPS_IN_WORDS = 6;
/** Where the line is, from the top, in pixels. */
const LINE = 12;
const LABELS = 33;

/** @typedef {{number: number, time: number, seen: boolean}} Attempt */

/**
 * @param {Record<string, any>} stuck
 * @returns {Attempt[]} oldest first
 */
function attemptsOf(stuck) {
  return list(stuck.attempts)
    .map(record)
    .map((attempt, index) => ({ number: number(attempt.number) ?? index + 1, time: number(attempt.time) ?? NaN, seen: attempt.seen !== false }))
    .filter((attempt) => Number.isFinite(attempt.time))
    .sort((a, b) => a.time - b.time)
    .slice(-MOST);
}

/**
 * When the next attempt is, if that is known. The server waits for the worker's response to a Workflow Task until the
 * timeout, long after the code has failed, so that task counts as waiting and not as in progress.
 * @param {Record<string, any>} stuck
 */
function nextOf(stuck) {
  return number(stuck.next_attempt) ?? number(stuck.times_out);
}

/** @param {Record<string, any>} stuck */
function isTrying(stuck) {
  return stuck.trying === true && stuck.kind !== 'workflow_task';
}

/**
 * What the picture shows, in words, without the countdown.
 * @param {Attempt[]} attempts
 * @param {number | null} next
 */
function inWords(attempts, next) {
  const marks = attempts.map((attempt) => attempt.time);
  if (next !== null) marks.push(next);
  const gaps = gapsOf(marks).map((gap) => gap.said);
  const told = gaps.slice(-GAPS_IN_WORDS);
  const unseen = attempts.filter((attempt) => !attempt.seen).length;
  const all = attempts.at(-1)?.number ?? 0;
  const count = all === 1 ? '1 failed attempt' : `${all} failed attempts`;
  return [
    `Attempts over time: ${count}`,
    told.length > 0 ? `, the ${gaps.length > told.length ? 'last ' : ''}gaps are ${told.join(', ')}` : '',
    next !== null ? '; the last of them ends with the next attempt' : '',
    unseen > 0 ? `; ${unseen === 1 ? 'one attempt was' : `${unseen} attempts were`} estimated from the retry policy, not observed` : '',
    '.',
  ].join('');
}

/**
 * The gaps between marks, with the label of each. Equal gaps in a row share one label.
 * @param {number[]} marks
 */
function gapsOf(marks) {
  /** @type {{from: number, to: number, gap: string, said: string}[]} */
  const gaps = [];
  marks.slice(1).forEach((to, index) => {
    const from = marks[index];
    const gap = span(Math.round((to - from) * 2) / 2);
    const last = gaps.at(-1);
    if (last?.gap === gap) Object.assign(last, { to, said: `every ${gap}` });
    else gaps.push({ from, to, gap, said: gap });
  });
  return gaps;
}

/**
 * Maps times to positions on the line: proportional, except that marks which would overlap are moved apart.
 * @param {number[]} marks at least one, oldest first
 * @param {number} end the time at the end of the line
 * @returns {(time: number) => number} in percent of the picture
 */
function scale(marks, end) {
  const times = end > marks[marks.length - 1] ? [...marks, end] : marks;
  const whole = times[times.length - 1] - times[0] || 1;
  const places = times.map((time) => BEGIN + ((END - BEGIN) * (time - times[0])) / whole);
  const apart = Math.min(APART, (END - BEGIN) / times.length);
  for (let i = 1; i < places.length; i += 1) places[i] = Math.max(places[i], places[i - 1] + apart);
  // Marks that were moved past the end move back, and push their neighbours back with them.
  for (let i = places.length - 1, most = END; i > 0; i -= 1, most = places[i + 1] - apart) places[i] = Math.min(places[i], most);
  return (time) => {
    const after = times.findIndex((mark) => mark > time);
    if (after === 0) return BEGIN;
    if (after === -1) return places[places.length - 1];
    const part = (time - times[after - 1]) / (times[after] - times[after - 1]);
    return places[after - 1] + part * (places[after] - places[after - 1]);
  };
}

export function attemptsPicture() {
  const picture = svg('svg', { role: 'img', height: 40, width: '100%', focusable: 'false' });
  const earlier = html('p', { class: 'earlier' });
  const legend = html('p', { class: 'legend' });
  const element = html('div', { class: 'attempts' }, earlier, picture, legend);
  /** @type {Attempt[]} */
  let attempts = [];
  /** @type {number | null} */
  let next = null;
  let trying = false;
  let end = 0;
  /** @type {(time: number) => number} */
  let place = () => BEGIN;
  /** @type {Element | null} */
  let elapsed = null;
  /** @type {Element | null} */
  let cursor = null;
  /** @type {Element | null} */
  let ring = null;

  /** @param {number} time */
  function x(time) {
    return `${place(time).toFixed(3)}%`;
  }

  /** Draws the line up to now, with the cursor at its end. */
  function grow() {
    if (!elapsed || !cursor) return;
    setAttribute(elapsed, 'x2', x(now()));
    setAttribute(cursor, 'x1', x(now()));
    setAttribute(cursor, 'x2', x(now()));
    if (trying && ring) setAttribute(ring, 'cx', x(now()));
  }

  function draw() {
    const last = attempts[attempts.length - 1].time;
    const ahead = !trying && next !== null && next > last ? next : null;
    // Without a next attempt, the line ends now.
    end = Math.max(ahead ?? 0, now());
    const marks = attempts.map((attempt) => attempt.time);
    if (ahead !== null) marks.push(ahead);
    place = scale(marks, end);
    elapsed = svg('line', { class: 'elapsed', x1: x(attempts[0].time), x2: x(now()), y1: LINE, y2: LINE });
    cursor = svg('line', { class: 'cursor', x1: x(now()), x2: x(now()), y1: LINE - 7, y2: LINE + 7 });
    const gaps = gapsOf(marks).flatMap(({ from, to, said }) => {
      const [left, right] = [place(from), place(to)];
      if (right - left < ROOM) return [];
      return [svg('text', { class: 'gap', x: `${((left + right) / 2).toFixed(3)}%`, y: LABELS, 'text-anchor': 'middle' }, said)];
    });
    // The ring marks the next attempt; while an attempt is in progress, it moves with the cursor.
    ring = svg('circle', { class: trying ? 'next trying' : 'next', cx: x(ahead ?? now()), cy: LINE, r: 6 });
    picture.replaceChildren(
      svg('line', { class: 'to-come', x1: x(attempts[0].time), x2: x(ahead ?? now()), y1: LINE, y2: LINE }),
      elapsed,
      cursor,
      ...attempts.map((attempt) =>
        svg('circle', { class: attempt.seen ? 'seen' : 'unseen', cx: x(attempt.time), cy: LINE, r: 4 }),
      ),
      ...(ahead === null && !trying ? [] : [ring]),
      ...gaps,
    );
    setAttribute(picture, 'aria-label', inWords(attempts, ahead));
  }

  return {
    element,
    /** @param {Record<string, any>} stuck */
    update(stuck) {
      attempts = attemptsOf(stuck);
      next = nextOf(stuck);
      trying = isTrying(stuck);
      element.hidden = attempts.length === 0;
      if (attempts.length === 0) return;
      const before = attempts[0].number - 1;
      setText(earlier, before > 0 ? `… ${before === 1 ? '1 earlier attempt' : `${before.toLocaleString('en-US')} earlier attempts`}` : '');
      legend.textContent = attempts.some((a) => !a.seen) ? '○ estimated ● observed' : '';
      draw();
    },
    tick() {
      if (attempts.length === 0) return;
      if (now() > end) draw();
      else grow();
    },
  };
}

/**
 * `Attempt 4 of 5`, or the part of it that is known.
 * @param {Record<string, any>} stuck
 */
export function attemptNumber(stuck) {
  const attempt = number(stuck.attempt);
  const most = number(stuck.max_attempts);
  if (attempt === null) return text(stuck.attempt, 20) && `Attempt ${text(stuck.attempt, 20)}`;
  return most !== null && most > 0 ? `Attempt ${attempt} of ${most}` : `Attempt ${attempt}`;
}

/**
 * The countdown to the next attempt.
 * @param {Record<string, any>} stuck
 */
export function countdown(stuck) {
  if (isTrying(stuck)) return 'in progress';
  const next = nextOf(stuck);
  if (next === null) return '';
  const left = Math.ceil(next - now());
  return left > 0 ? `next attempt in ${left < 100 ? `${left} s` : span(left)}` : 'next attempt due now';
}
