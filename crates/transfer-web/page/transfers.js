// @ts-check
/** The list of transfers, newest first, a page at a time. */
import { announce } from './announce.js';
import { byId, reconcile, setAttribute, setText, show } from './dom.js';
import { list, number, record, text } from './outside.js';
import { transferRow } from './row.js';
import { statusOf } from './pill.js';
import { get, watch } from './store.js';
import { PAGE, showFrom } from './stream.js';
import { everySecond } from './time.js';

/** Changes within this many milliseconds are announced in one sentence. */
const ANNOUNCE_DELAY_MS = 1500;

/** The rows on the page. @type {Map<Element, import('./row.js').TransferRow>} */
const rows = new Map();

/** The status that each transfer on the page had last. @type {Map<string, string>} */
let before = new Map();
/** @type {Map<string, string>} */
const news = new Map();
/** @type {number | undefined} */
let announceTimer;

/**
 * The rules that each transfer broke, by its Workflow Id, as the guide reports them.
 * @returns {Map<string, Record<string, any>[]>}
 */
function brokenRules() {
  /** @type {Map<string, Record<string, any>[]>} */
  const broken = new Map();
  for (const one of list(record(get('guide')).wrong).map(record)) {
    const id = text(one.workflow_id, 300);
    broken.set(id, [...(broken.get(id) ?? []), one]);
  }
  return broken;
}

function drawBroken() {
  const broken = brokenRules();
  for (const row of rows.values()) row.drawBroken(broken.get(row.element.dataset.workflowId ?? '') ?? []);
  drawCounts(record(get('transfers')));
}

/** @param {unknown} value */
function count(value) {
  return (number(value) ?? 0).toLocaleString('en-US');
}

/** Announces in one sentence which transfers got stuck or ended. Announcing every step would be too much. */
function announceNews() {
  /** @type {Map<string, number>} */
  const words = new Map();
  for (const word of news.values()) words.set(word, (words.get(word) ?? 0) + 1);
  news.clear();
  const parts = [...words].map(([word, times]) => `${times} ${word.toLowerCase()}`);
  if (parts.length > 0) announce(`Transfers: ${parts.join(', ')}.`);
}

/** @param {Record<string, any>[]} shown */
function gatherNews(shown) {
  const after = new Map();
  for (const row of shown) {
    const id = text(row.workflow_id, 300);
    const word = statusOf(row).word;
    const last = before.get(id);
    if (last !== undefined && last !== word) {
      if (word === 'Running') news.delete(id);
      else news.set(id, word);
    }
    after.set(id, word);
  }
  before = after;
  if (news.size > 0) {
    clearTimeout(announceTimer);
    announceTimer = setTimeout(announceNews, ANNOUNCE_DELAY_MS);
  }
}

/**
 * `2 in progress, both stuck`. The page knows only of its own transfers whether they are stuck or paused.
 * @param {Record<string, any>} transfers
 * @param {number} some
 * @param {string} word
 */
function partOfRunning(transfers, some, word) {
  if (some === 0) return '';
  if ((number(transfers.total) ?? 0) > PAGE) return `${some} ${word} on this page`;
  if (some !== number(transfers.running)) return `${some} ${word}`;
  return some === 1 ? word : some === 2 ? `both ${word}` : `all ${word}`;
}

/** @param {Record<string, any>} transfers */
function drawCounts(transfers) {
  const paused = list(transfers.rows).filter((row) => record(record(row).stuck).state === 'paused').length;
  const rules = list(record(get('guide')).wrong).length;
  /** @param {unknown} some @param {string} word */
  const part = (some, word) => ((number(some) ?? 0) > 0 ? `${count(some)} ${word}` : '');
  const parts = [
    part(transfers.running, 'in progress'),
    partOfRunning(transfers, (number(transfers.stuck_in_window) ?? 0) - paused, 'stuck'),
    partOfRunning(transfers, paused, 'paused'),
    part(transfers.completed, 'completed'),
    part(transfers.failed, 'failed'),
    rules === 0 ? '' : rules === 1 ? '1 rule broken' : `${count(rules)} rules broken`,
  ];
  setText(byId('counts'), number(transfers.total) ? parts.filter(Boolean).join(', ') : '');
}

/** @param {Record<string, any>} transfers */
function drawPager(transfers) {
  const total = number(transfers.total) ?? 0;
  const offset = number(transfers.offset) ?? 0;
  const shown = list(transfers.rows).length;
  show(byId('pager'), total > PAGE || offset > 0);
  setText(byId('range'), shown > 0 ? `${count(offset + 1)}–${count(offset + shown)} of ${count(total)}` : `0 of ${count(total)}`);
  // `aria-disabled` rather than `disabled`: a disabled button would lose the focus.
  setAttribute(byId('newer'), 'aria-disabled', offset <= 0 ? 'true' : null);
  setAttribute(byId('older'), 'aria-disabled', offset + shown >= total ? 'true' : null);
}

function drawEmpty() {
  const transfers = get('transfers');
  const empty = list(record(transfers).rows).length === 0;
  show(byId('transfers-empty'), empty);
  if (!empty) return;
  const lost = record(get('connection')).state === 'lost';
  const known = transfers !== undefined && !lost;
  setText(byId('empty-title'), known ? 'No transfers yet' : lost ? 'No data' : 'Waiting for the lab');
  setText(
    byId('empty-text'),
    known
      ? 'Start one under New transfer and watch its steps here. The daily batch starts twelve at once.'
      : 'Transfers appear here once the lab responds.',
  );
}

/** @param {unknown} value */
function draw(value) {
  const transfers = record(value);
  const shown = list(transfers.rows).map(record);
  const total = number(transfers.total) ?? 0;
  const offset = number(transfers.offset) ?? 0;
  // After a reset, the current page may be past the end.
  if (shown.length === 0 && offset > 0) {
    showFrom(Math.min(offset - PAGE, Math.floor(Math.max(0, total - 1) / PAGE) * PAGE));
    return;
  }
  reconcile(
    byId('transfers'),
    shown,
    (row) => row.workflow_id,
    () => {
      const row = transferRow();
      rows.set(row.element, row);
      return row;
    },
    byId('transfers-panel'),
  );
  for (const [element, row] of rows) {
    if (element.isConnected) continue;
    row.close();
    rows.delete(element);
  }
  show(byId('transfers'), shown.length > 0);
  drawBroken();
  drawPager(transfers);
  drawEmpty();
  gatherNews(shown);
}

/**
 * Goes to another page of the list.
 * @param {HTMLElement} button
 * @param {number} by
 */
function turn(button, by) {
  if (button.getAttribute('aria-disabled') === 'true') return;
  showFrom((number(record(get('transfers')).offset) ?? 0) + by);
  byId('transfers-panel').scrollTop = 0;
}

export function startTransfers() {
  byId('newer').addEventListener('click', () => turn(byId('newer'), -PAGE));
  byId('older').addEventListener('click', () => turn(byId('older'), PAGE));
  watch('transfers', draw);
  watch('guide', drawBroken);
  watch('connection', drawEmpty);
  everySecond(() => {
    for (const row of rows.values()) row.tick();
  });
}
