// @ts-check
/**
 * The tasks of a stage: done tasks are folded, the current one is explained, and later ones show only their titles.
 * A task's links lead to parts of the page, such as a button of the form or of a transfer's card.
 */
import { announce } from './announce.js';
import { byId, changed, glyph, html, pointPlaces, reconcile, setAttribute, setGlyph, setText, show } from './dom.js';
import { recall, remember } from './entry.js';
import { say } from './orders.js';
import { list, record, text } from './outside.js';
import { setServerHtml } from './prose.js';
import { reveal } from './reveal.js';
import { get, put } from './store.js';

/** The parts of a transfer's card that a task can link to, as `CARD_PARTS` in the crate `lab`. @type {Record<string, string>} */
const CARD_PARTS = { transfer: '', retry: '.retry', details: '.details summary' };

/** The buttons that a link presses. Others are only shown. */
const PRESSED = ['submit', 'batch', 'hint', 'retry', 'without-run'];

/**
 * Which tasks are done. A goal completes a task at any time. Another condition counts while its task is the current one, and
 * a goal that was reached later completes it too.
 * @param {Record<string, any>} guide
 * @returns {boolean[]}
 */
function doneOf(guide) {
  const tasks = list(guide.tasks).map(record);
  const reached = new Set(
    list(guide.goals).map(record).filter((goal) => goal.reached === true || goal.earlier === true).map((goal) => goal.name),
  );
  const lastReached = tasks.findLastIndex((task) => task.goal && reached.has(task.goal));
  const { passed } = recall(guide);
  let isOpen = false;
  const done = tasks.map((task, index) => {
    const holds = !isOpen && task.holds === true;
    const isDone = task.goal ? reached.has(task.goal) : index < lastReached || passed.includes(index) || holds;
    isOpen ||= !isDone;
    return isDone;
  });
  const news = tasks.flatMap((task, index) => (!task.goal && done[index] && !passed.includes(index) ? [index] : []));
  if (news.length > 0) remember(guide, { passed: [...passed, ...news] });
  return done;
}

/** @typedef {{index: number, task: Record<string, any>, state: string}} Item */

function taskItem() {
  const picture = glyph('todo');
  const title = html('span', { class: 'task-title' });
  const state = html('span', { class: 'visually-hidden' });
  const heading = html('h4', { tabindex: -1 }, picture, title, state);
  const summary = html('summary');
  const prose = html('div', { class: 'prose' });
  const commands = html('div', { class: 'commands' });
  const terminal = html('details', { class: 'terminal' }, html('summary', {}, 'In a terminal'), commands);
  const button = html('button', { type: 'button', class: 'task-done' }, 'Done');
  const message = html('p', { class: 'message', role: 'status' });
  const body = html('div', { class: 'task-body' }, prose, button, message, terminal);
  const fold = html('details', { class: 'task-fold' }, summary);
  const element = html('li', { class: 'task' });
  return {
    element,
    /** @param {Item} item */
    update({ index, task, state: now }) {
      const before = element.dataset.state;
      const hadFocus = element.contains(document.activeElement);
      setAttribute(element, 'data-task', index);
      setAttribute(element, 'data-state', now);
      setAttribute(element, 'aria-current', now === 'now' ? 'step' : null);
      element.dataset.about = text(task.about, 300);
      setGlyph(picture, now);
      setText(title, text(task.title, 200));
      setText(state, now === 'done' ? ' (done)' : now === 'todo' ? ' (later)' : '');
      if (changed(prose, task.html)) setServerHtml(prose, task.html);
      if (changed(commands, task.terminal)) setServerHtml(commands, task.terminal);
      show(terminal, commands.childElementCount > 0);
      setAttribute(button, 'data-task', index);
      // The page knows when a goal is reached. Of other tasks, the learner can say that they are done.
      show(button, now === 'now' && !task.goal);
      if (now === before) return;
      // What was drawn while it was not on the page does not know the editor yet.
      pointPlaces(body);
      say(message, '');
      if (now === 'done') {
        summary.replaceChildren(heading);
        fold.open = false;
        fold.replaceChildren(summary, body);
        element.replaceChildren(fold);
      } else {
        element.replaceChildren(heading, ...(now === 'now' ? [body] : []));
      }
      if (hadFocus) byId('tasks-title').focus({ preventScroll: true });
    },
  };
}

/** How many tasks of the stage are not done. @param {Record<string, any>} guide */
export function openTasks(guide) {
  return doneOf(guide).filter((isDone) => !isDone).length;
}

/** The current task at the last update, to announce a new one. */
let known = '';

/** @param {Record<string, any>} guide */
export function drawTasks(guide) {
  const tasks = list(guide.tasks).map(record);
  const done = doneOf(guide);
  const current = done.indexOf(false);
  const items = tasks.map((task, index) => ({ index, task, state: done[index] ? 'done' : index === current ? 'now' : 'todo' }));
  show(byId('tasks-section'), tasks.length > 0);
  setText(byId('tasks-title'), current < 0 ? 'All tasks are done' : `Task ${current + 1} of ${tasks.length}`);
  reconcile(byId('tasks'), items, ({ index }) => `${text(guide.stage, 120)} ${index}`, taskItem, byId('tasks-title'));
  const name = `${text(guide.stage, 120)} ${current}`;
  if (known.startsWith(`${text(guide.stage, 120)} `) && known !== name && current >= 0) {
    announce(`Next task: ${text(tasks[current].title, 200)}`);
  }
  known = name;
}

/**
 * The element that a link leads to. A part of a card is taken from the task's own transfer; without one, from any, rather a stuck one.
 * @param {string} id
 * @param {string} about
 * @returns {HTMLElement | null}
 */
function targetOf(id, about) {
  const selector = CARD_PARTS[id];
  if (selector === undefined) {
    const element = document.getElementById(id);
    return element?.checkVisibility() === false && element.hidden ? element.closest('section') : element;
  }
  const places = about ? [`.transfer[data-workflow-id="${CSS.escape(about)}"]`] : ['.transfer:not([data-stuck=""])', '.transfer'];
  for (const place of places) {
    for (const found of document.querySelectorAll(place)) {
      const part = selector ? found.querySelector(selector) : found;
      if (part instanceof HTMLElement) return part;
    }
  }
  return null;
}

/** @param {MouseEvent} event */
function follow(event) {
  const from = event.target instanceof Element ? event.target : null;
  const button = from?.closest('button.task-done');
  if (button instanceof HTMLElement) {
    const guide = record(get('guide'));
    remember(guide, { passed: [...recall(guide).passed, Number(button.dataset.task)] });
    // What else depends on it is drawn again, too.
    put('guide', guide);
    return;
  }
  const link = from?.closest('a[href^="#"]:not(.place-link)');
  const id = link?.getAttribute('href')?.slice(1);
  if (!link || !id) return;
  event.preventDefault();
  const task = link.closest('.task');
  const about = task instanceof HTMLElement ? task.dataset.about ?? '' : '';
  const target = targetOf(id, about);
  const message = task?.querySelector('.message');
  const isFound = target !== null && reveal(target);
  // A link with a button's name is expected to do what the button does.
  if (isFound && PRESSED.includes(id)) target.click();
  if (!(message instanceof HTMLElement)) return;
  const missing = id === 'retry' ? 'No transfer is waiting for its next attempt right now.' : 'This is not on the page right now.';
  say(message, '', isFound ? '' : missing);
}

export function startTasks() {
  byId('guide').addEventListener('click', follow);
}
