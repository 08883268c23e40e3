// @ts-check
/** One transfer in the list. Its elements are created once and then updated. */
import { announce } from './announce.js';
import { attemptNumber, attemptsPicture, countdown } from './attempts.js';
import { copyButton, setCopy } from './copy.js';
import { attach, changed, glyph, html, outLink, pointLink, setAttribute, setPathText, setText, show } from './dom.js';
import { eventHistory } from './events.js';
import { money } from './money.js';
import { once, order, say, sentence } from './orders.js';
import { asSentence, capitalized, isRecord, number, record, text } from './outside.js';
import { statusOf, statusPill } from './pill.js';
import { reveal } from './reveal.js';
import { drawSteps } from './steps.js';
import { ago, clock, machineTime, span } from './time.js';

/** A longer failure is shown in full only in the details. */
const LONGEST_FAILURE = 600;
/** A transfer's result has fewer fields; the rest of a larger one is left out. */
const MOST_FIELDS = 12;

/** @typedef {ReturnType<typeof transferRow>} TransferRow */

/**
 * A line of code, shown only while it has text. Only a command has a copy button.
 * @param {HTMLButtonElement[]} copy
 */
function codeLine(...copy) {
  const code = html('code', { class: 'place' });
  const element = html('div', { class: 'place-line' }, code, ...copy);
  return {
    /**
     * @param {string} line
     * @param {HTMLElement} previous the element before it
     */
    update(line, previous) {
      setPathText(code, line);
      for (const button of copy) setCopy(button, line);
      attach(element, line !== '', previous);
    },
  };
}

/** @param {string} line @param {string} end */
function withoutEnd(line, end) {
  return line.endsWith(end) ? line.slice(0, -end.length) : line;
}

/** Why a transfer is stuck, when its next attempt is, and what you can do about it. */
function stuckPart() {
  const what = html('strong', { class: 'what' });
  const attempt = html('span', { class: 'attempt' });
  const wait = html('span', { class: 'countdown' });
  const retry = html('button', { type: 'button', class: 'retry' }, 'Retry now');
  const failure = html('p', { class: 'failure mono' });
  const place = codeLine();
  const note = html('p', { class: 'note' });
  const hint = html('a', { class: 'need-hint', href: '#hint' }, 'Need a hint?');
  hint.addEventListener('click', (event) => {
    if (reveal('hint') || reveal('hints-section')) event.preventDefault();
  });
  const command = codeLine(copyButton(''));
  const message = html('p', { class: 'message', role: 'status' });
  const picture = attemptsPicture();
  const why = html('p', {}, what, html('span', { class: 'when' }, attempt, wait));
  const element = html(
    'div',
    { class: 'stuck' },
    html('div', { class: 'why' }, why),
    failure,
    picture.element,
    note,
    message,
  );
  let workflow = '';
  /** @type {Record<string, any>} */
  let stuck = {};

  retry.addEventListener('click', () =>
    once(retry, async () => {
      say(message, '');
      try {
        const answer = await order(`api/workflows/${encodeURIComponent(workflow)}/retry`, {});
        announce((number(answer.retried) ?? 0) >= 1 ? 'Retrying now.' : 'The transfer continued in the meantime.');
      } catch (error) {
        say(message, 'bad', sentence(error));
      }
    }),
  );

  function tick() {
    const when = text(stuck.says) ? '' : countdown(stuck);
    setText(wait, when && attempt.textContent ? ` · ${when}` : when);
    picture.tick();
  }

  return {
    element,
    tick,
    /**
     * @param {Record<string, any>} row
     * @param {HTMLElement} previous the element before it in the row
     * @param {HTMLElement} refuge gets the focus when the focused button is removed
     */
    update(row, previous, refuge) {
      const hadFocus = element.contains(document.activeElement);
      workflow = text(row.workflow_id);
      stuck = record(row.stuck);
      const isStuck = row.status === 'RUNNING' && isRecord(row.stuck);
      attach(element, isStuck, previous);
      if (!isStuck) {
        say(message, '');
        if (hadFocus) refuge.focus({ preventScroll: true });
        return;
      }
      const activity = text(stuck.activity, 80) || text(stuck.step, 80);
      const task = stuck.kind === 'workflow_task';
      const says = text(stuck.says, LONGEST_FAILURE);
      const step = activity ? `The ${activity} step keeps failing.` : 'The transfer is stuck.';
      const fails = task ? 'The Workflow code keeps failing.' : step;
      setText(what, says ? asSentence(says) : fails);
      setText(attempt, says ? '' : attemptNumber(stuck));
      const where = text(stuck.place, 300);
      const plain = text(stuck.plain, LONGEST_FAILURE);
      // The place has a line of its own.
      const failed = plain ? asSentence(plain) : withoutEnd(text(stuck.failure, LONGEST_FAILURE), `, at ${where}`);
      setPathText(failure, failed === says ? '' : failed);
      show(failure, failure.textContent !== '');
      place.update(where, failure);
      command.update(text(stuck.command, LONGEST_FAILURE), note);
      const canRetry = stuck.can_retry === true && !task;
      if (!canRetry && document.activeElement === retry) refuge.focus({ preventScroll: true });
      attach(retry, canRetry, why);
      const advice = text(stuck.advice, LONGEST_FAILURE);
      const version = text(row.version, 60);
      // There, a fix is another version, and this transfer stays on its own.
      const retries = version ? `Temporal keeps retrying it on version ${version}. ` : 'Temporal keeps retrying it. Fix it and save. ';
      const retried = task && !says ? retries : '';
      if (changed(note, [advice, retried])) note.replaceChildren(advice ? `${capitalized(advice)}:` : retried, ...(retried && !advice ? [hint] : []));
      if (changed(picture.element, [stuck.attempts, stuck.next_attempt, stuck.times_out, stuck.trying])) picture.update(stuck);
      tick();
    },
  };
}

/**
 * The lines under Details.
 * @param {Record<string, any>} row
 * @returns {[string, string][]}
 */
function detailsOf(row) {
  const input = record(row.input);
  const result = record(row.result);
  /** @type {[string, string][]} */
  const lines = [
    ['Workflow Id', text(row.workflow_id)],
    ['Run Id', text(row.run_id)],
    ['Status', text(row.status, 60)],
    ['Started', clock(row.start_time)],
    ['Ended', clock(row.close_time)],
  ];
  if (!knownShape(input)) lines.push(['Input', text(row.input)]);
  if (isRecord(row.result)) {
    for (const [name, value] of Object.entries(result).slice(0, MOST_FIELDS)) {
      if (name in input) continue;
      const label = name.slice(0, 60).replaceAll('_', ' ');
      lines.push([label, (name.endsWith('balance') && money(value)) || text(value)]);
    }
  } else lines.push(['Result', text(row.result)]);
  lines.push(['Failure', text(record(row.stuck).failure) || text(row.failure)]);
  return lines.filter(([, value]) => value !== '');
}

/** @param {Record<string, any>} input */
function knownShape(input) {
  return typeof input.from_account === 'string' && typeof input.to_account === 'string' && number(input.amount) !== null;
}

/**
 * How the transfer ended, in a sentence.
 * @param {Record<string, any>} row
 */
function endOf(row) {
  if (row.failure) return text(row.failure, LONGEST_FAILURE);
  if (row.status !== 'COMPLETED') return '';
  const started = number(row.start_time);
  const closed = number(row.close_time);
  const took = started !== null && closed !== null ? ` after ${span(closed - started)}` : '';
  return isRecord(row.result) && row.result.success === false ? `Completed${took}, without success.` : `The money arrived${took}.`;
}

/** A row of the list. */
export function transferRow() {
  const status = statusPill();
  const version = html('span', { class: 'transfer-version' });
  const broken = html('div', { class: 'broken' });
  const from = html('span', { class: 'clip' });
  const to = html('span', { class: 'clip' });
  const arrow = html('span', { class: 'arrow', 'aria-hidden': 'true' }, '→');
  const route = html('h3', { class: 'route' }, from, html('span', { class: 'visually-hidden' }, ' to '), arrow, to);
  const amount = html('span', { class: 'amount' });
  const steps = html('ol', { class: 'steps', 'aria-label': 'Steps' });
  const stuck = stuckPart();
  const ended = html('p', { class: 'ended' });
  const id = html('code', { class: 'workflow-id clip' });
  const age = html('time', { class: 'age nowrap' });
  const runs = html('span', { class: 'runs nowrap' });
  const link = outLink('Open in Temporal UI', 'ui-link out-link');
  const facts = html('dl', {});
  const details = html('details', { class: 'details' }, html('summary', {}, 'Details'), facts);
  /** @type {ReturnType<typeof eventHistory> | null} */
  let history = null;
  const meta = html('div', { class: 'meta' }, id, age, runs, link, details);
  const head = html('div', { class: 'transfer-head' }, status.element, version, route, amount);
  const element = html('li', { class: 'transfer', tabindex: -1 }, head, steps, meta);
  /** @type {Record<string, any>} */
  let row = {};

  function drawDetails() {
    if (!details.open) return;
    if (!history) {
      history = eventHistory();
      details.append(history.element);
    }
    history.update(row);
    if (!changed(facts, row)) return;
    const entries = detailsOf(row);
    facts.replaceChildren(
      ...entries.map(([name, value]) => html('div', {}, html('dt', {}, name), html('dd', { class: 'mono' }, value))),
    );
  }
  // The toggle events of nested details do not bubble up to here.
  details.addEventListener('toggle', () => {
    if (!details.open) history?.close();
    drawDetails();
  });

  function tick() {
    const started = number(row.start_time);
    setText(age, started === null ? '' : ago(started));
    if (stuck.element.isConnected) stuck.tick();
  }

  /**
   * Shows at the top which rules the transfer broke.
   * @param {Record<string, any>[]} wrong
   */
  function drawBroken(wrong) {
    attach(broken, wrong.length > 0, head);
    setAttribute(element, 'data-broken', wrong.length > 0);
    if (!changed(broken, wrong)) return;
    broken.replaceChildren(
      ...wrong.map((one) => {
        const says = ['what', 'meaning'].map((name) => text(one[name], LONGEST_FAILURE)).filter(Boolean);
        return html('p', {}, glyph('failed'), html('span', {}, html('strong', {}, 'Rule broken. '), says.map(asSentence).join(' ')));
      }),
    );
  }

  return {
    element,
    tick,
    drawBroken,
    /** Stops the updates of this row, which is no longer on the page. */
    close() {
      history?.close();
    },
    /** @param {Record<string, any>} value */
    update(value) {
      row = value;
      const input = record(row.input);
      const workflow = text(row.workflow_id, 300);
      const isStuck = row.status === 'RUNNING' && isRecord(row.stuck);
      const kind = text(record(row.stuck).kind, 40);
      setAttribute(element, 'data-workflow-id', workflow);
      setAttribute(element, 'data-status', text(row.status, 60));
      setAttribute(element, 'data-stuck', isStuck ? (['workflow_task', 'activity'].includes(kind) ? kind : 'other') : '');
      status.update(statusOf(row));
      setAttribute(element, 'data-tone', statusOf(row).tone);
      const ranBy = text(row.version, 60);
      setAttribute(element, 'data-version', ranBy || null);
      setText(version, ranBy && `version ${ranBy}`);
      show(version, ranBy !== '');
      const known = isRecord(row.input) && (input.from_account !== undefined || input.to_account !== undefined);
      setText(from, known ? text(input.from_account, 120) || 'no account' : row.input == null ? 'loading…' : 'unexpected input');
      setText(to, known ? text(input.to_account, 120) || 'no account' : '');
      show(arrow, known);
      setText(amount, money(input.amount) || text(input.amount, 40));
      drawSteps(steps, row);
      stuck.update(row, steps, link.hidden ? element : link);
      const end = endOf(row);
      setPathText(ended, end);
      setAttribute(ended, 'data-tone', row.failure ? 'bad' : 'ok');
      attach(ended, end !== '', isStuck ? stuck.element : steps);
      setText(id, workflow);
      setAttribute(id, 'title', workflow);
      const started = number(row.start_time);
      setAttribute(age, 'datetime', started === null ? null : machineTime(started));
      const count = number(row.runs) ?? 1;
      setText(runs, count > 1 ? `reset ${count === 2 ? 'once' : `${count - 1} times`}` : '');
      pointLink(link, row.ui_url);
      drawDetails();
      tick();
    },
  };
}
