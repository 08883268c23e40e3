// @ts-check
/**
 * The Event History in a transfer's details: a line for each event, with marks on those that show a reached goal or a broken rule.
 * The page requests it when the details are opened, and again when the transfer changes.
 */
import { changed, glyph, html, outLink, pathParts, pointLink, reconcile, setAttribute, setText, show } from './dom.js';
import { ask, sentence } from './orders.js';
import { list, number, record, text } from './outside.js';
import { get, watch } from './store.js';
import { clock } from './time.js';

/** How long a request may take, in milliseconds. */
const TIMEOUT_MS = 20000;
/** How long after a failure it is requested again, in milliseconds. */
const RETRY_MS = 5000;

/** The open histories, drawn again when the guide changes. @type {Set<() => void>} */
const open = new Set();
watch('guide', () => open.forEach((draw) => draw()));

/** @typedef {{tone: string, picture: string, says: string, what?: string}} Mark */

/**
 * What the guide says about each event of a run, by the event's number.
 * @param {string} run
 * @returns {Map<number, Mark[]>}
 */
function marksOf(run) {
  /** @type {Map<number, Mark[]>} */
  const marks = new Map();
  /** @param {unknown} evidence @param {string} tone @param {string} picture @param {string} before @param {string} after */
  const mark = (evidence, tone, picture, before, after) => {
    for (const one of list(evidence).map(record)) {
      const event = number(one.event_id);
      if (one.run_id !== run || event === null) continue;
      const says = [before, after && text(one[after], 600)].filter(Boolean).join(': ');
      marks.set(event, [...(marks.get(event) ?? []), { tone, picture, says, what: text(one.what, 600) }]);
    }
  };
  const guide = record(get('guide'));
  for (const goal of list(guide.goals).map(record)) {
    mark(goal.evidence, 'goal', 'done', `Goal reached: ${text(goal.goal, 300)}`, '');
  }
  mark(guide.wrong, 'wrong', 'failed', 'Rule broken', 'meaning');
  return marks;
}

/**
 * What a mark says below the line of its event, without repeating it.
 * @param {Mark} mark
 * @param {string} line
 */
function inWords({ says, what }, line) {
  return what && !line.includes(what) ? `${says} (${what})` : says;
}

/** A row of the table. */
function eventRow() {
  const id = html('td', { class: 'event-id' });
  const type = html('summary', { class: 'mono' });
  const meaning = html('p', { class: 'meaning' });
  const explained = html('details', { class: 'event-type' }, type, meaning);
  const line = html('p', { class: 'line' });
  const marks = html('div', { class: 'marks' });
  const time = html('td', { class: 'nowrap' });
  const element = html('tr', { class: 'event' }, id, html('td', {}, explained, line, marks), time);
  return {
    element,
    /** @param {{event: Record<string, any>, marks: Mark[], open: boolean}} value */
    update({ event, marks: all, open: isOpen }) {
      setAttribute(element, 'data-event-id', number(event.id) ?? '');
      setAttribute(element, 'data-type', text(event.type, 80));
      setAttribute(element, 'data-mark', all[0]?.tone ?? (event.is_failure === true ? 'failure' : null));
      setText(id, text(event.id, 20));
      setText(type, text(event.type, 80));
      setText(meaning, text(event.meaning, 600));
      // Opens only what has just become relevant, so that what a learner closes stays closed.
      if (changed(explained, isOpen) && isOpen) explained.open = true;
      setText(time, clock(event.time));
      if (changed(line, event.line)) line.replaceChildren(...pathParts(text(event.line, 600)));
      if (!changed(marks, all)) return;
      marks.replaceChildren(
        ...all.map((one) => {
          const says = html('span', {}, ...pathParts(inWords(one, text(event.line, 600))));
          return html('p', { class: 'mark', 'data-tone': one.tone }, glyph(one.picture), says);
        }),
      );
    },
  };
}

/**
 * What a run is called.
 * @param {Record<string, any>} run
 * @param {boolean} isNewest
 */
function titleOf(run, isNewest) {
  const reset = number(run.reset_event);
  const continued = number(run.continued_at);
  const start = reset === null ? '' : `, started by a reset at event ${reset}`;
  const end = continued === null ? '' : `, reset at event ${continued}`;
  return `${isNewest ? (reset === null ? 'Event History' : 'Event History of the latest run') : 'Earlier run'}${start}${end}`;
}

/** One run with its events. The latest is open, the earlier ones are folded. */
function runPart() {
  const title = html('summary', {});
  const link = outLink('Open in Temporal UI', 'inline-link');
  const leftOut = html('p', { class: 'quiet' });
  const rows = html('tbody');
  const pending = html('ul', { class: 'pending', 'aria-label': 'Not recorded yet' });
  const table = html(
    'table',
    {},
    html('thead', {}, html('tr', {}, ...['Event', 'What happened', 'Time'].map((name) => html('th', { scope: 'col' }, name)))),
    rows,
  );
  const scroll = html('div', { class: 'events-scroll', role: 'group', 'aria-label': 'Events', tabindex: 0 }, leftOut, table, pending);
  const element = html('details', { class: 'run' }, title, link, scroll);
  let isNew = true;
  return {
    element,
    /** @param {{run: Record<string, any>, isNewest: boolean}} value */
    update({ run, isNewest }) {
      const id = text(run.run_id, 80);
      setAttribute(element, 'data-run-id', id);
      setText(title, titleOf(run, isNewest));
      pointLink(link, isNewest ? null : run.ui_url);
      const missing = number(run.left_out) ?? 0;
      setText(leftOut, missing > 0 ? `The first ${missing.toLocaleString('en-US')} events are not shown.` : '');
      show(leftOut, missing > 0);
      const wasAtEnd = isNew || scroll.scrollTop + scroll.clientHeight >= scroll.scrollHeight - 8;
      const marks = marksOf(id);
      const isClosed = run.status !== 'RUNNING';
      const explained = new Set();
      const events = list(run.events).map(record).map((event) => {
        const all = [...(marks.get(number(event.id) ?? NaN) ?? [])];
        if (event.can_reset === true && isNewest && isClosed) {
          all.push({ tone: 'reset', picture: 'now', says: 'A reset can start here.' });
        }
        // Of several events of one type, the first is explained.
        const matters = event.is_failure === true || all.some((mark) => mark.tone !== 'reset');
        const isFirst = matters && !explained.has(event.type);
        if (matters) explained.add(event.type);
        return { event, marks: all, open: isFirst };
      });
      reconcile(rows, events, ({ event }) => event.id, eventRow, scroll);
      if (changed(pending, run.pending)) {
        pending.replaceChildren(
          ...list(run.pending).map(record).map((one) => {
            const failure = text(one.failure, 600);
            return html('li', {}, `Not yet recorded: ${text(one.line, 200)}${failure ? `. Last failure: ${failure}` : ''}`);
          }),
        );
      }
      show(pending, pending.childElementCount > 0);
      if (isNew) element.open = isNewest;
      if (wasAtEnd) scroll.scrollTop = scroll.scrollHeight;
      isNew = false;
    },
  };
}

/** The Event History of one transfer. */
export function eventHistory() {
  const message = html('p', { class: 'message', role: 'status' }, 'Loading the Event History…');
  const runs = html('div', { class: 'runs-list' });
  const element = html('div', { class: 'event-history' }, message, runs);
  /** @type {Record<string, any>} */
  let history = {};
  /** @type {AbortController | null} */
  let request = null;
  /** @type {number | undefined} */
  let retry;
  let isStale = false;
  let path = '';

  function draw() {
    const all = list(history.runs).map((run, index) => ({ run: record(run), isNewest: index === 0 }));
    reconcile(runs, all, ({ run }) => run.run_id, runPart, element);
  }

  async function load() {
    clearTimeout(retry);
    const mine = new AbortController();
    request = mine;
    isStale = false;
    const timer = setTimeout(() => mine.abort(new DOMException('', 'TimeoutError')), TIMEOUT_MS);
    try {
      history = await ask(path, mine.signal);
      if (request !== mine) return;
      setText(message, '');
      draw();
    } catch (error) {
      // Closed in the meantime.
      if (request !== mine) return;
      setText(message, sentence(error));
      retry = setTimeout(() => request ?? load(), RETRY_MS);
    } finally {
      clearTimeout(timer);
      if (request === mine) {
        request = null;
        if (isStale) load();
      }
    }
  }

  return {
    element,
    /**
     * Requests the history again if the transfer has changed.
     * @param {Record<string, any>} row
     */
    update(row) {
      path = `api/workflows/${encodeURIComponent(text(row.workflow_id))}/history`;
      open.add(draw);
      const stuck = record(row.stuck);
      if (!changed(element, [row.run_id, row.status, row.version, row.outcomes, row.runs, stuck.attempt, stuck.trying, stuck.state, stuck.failure])) return;
      isStale = true;
      if (!request) load();
    },
    /** Requests nothing more until the next update. */
    close() {
      open.delete(draw);
      clearTimeout(retry);
      request?.abort();
      request = null;
      isStale = false;
      changed(element, null);
    },
  };
}
