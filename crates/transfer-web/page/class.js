// @ts-check
/**
 * In a class: whose lab this is, what the instructor says, asking for help, and stages that are not open yet.
 *
 * Outside a class the page shows none of this.
 */
import { announce } from './announce.js';
import { openDialog, prepareDialog } from './dialog.js';
import { byId, html, setAttribute, setText, show } from './dom.js';
import { once, order, say, sentence } from './orders.js';
import { list, number, record, text } from './outside.js';
import { reveal } from './reveal.js';
import { enter } from './stages.js';
import { get, watch } from './store.js';
import { clock } from './time.js';

/** The longest question that the board shows. */
const LONGEST_QUESTION = 300;

const name = html('p', { id: 'class-name' });
const announced = html('span', { id: 'announcement-text' });
const since = html('span', { class: 'quiet nowrap' });
const announcement = html('p', { id: 'announcement', hidden: true }, html('strong', {}, 'From your instructor: '), announced, ' ', since);

const drillCommand = html('code', {});
const drillButton = html('button', { id: 'class-drill-start', type: 'button' }, 'Start it here');
const drill = html('p', { id: 'class-drill', hidden: true }, html('strong', {}, 'Your instructor started a drill.'), ' To begin it: ', drillCommand, ' ', drillButton);

const says = html('p', { id: 'help-says', tabindex: '-1', hidden: true });
const askButton = html('button', { id: 'help-ask', type: 'button', 'aria-expanded': 'false', 'aria-controls': 'help-form' }, 'Ask for help');
const doneButton = html('button', { id: 'help-done', type: 'button', hidden: true }, 'Remove question');
const question = html('input', { id: 'help-text', type: 'text', maxlength: LONGEST_QUESTION, autocomplete: 'off', 'aria-describedby': 'help-message' });
const form = html(
  'form',
  { id: 'help-form', novalidate: true, hidden: true },
  html('label', { for: 'help-text' }, 'Your question, in a sentence'),
  question,
  html('button', { type: 'submit', class: 'primary' }, 'Ask'),
  html('button', { id: 'help-cancel', type: 'button', class: 'plain' }, 'Cancel'),
);
const message = html('p', { id: 'help-message', class: 'message', role: 'status' });
const section = html(
  'section',
  { id: 'class', 'aria-label': 'Class', hidden: true },
  name,
  announcement,
  drill,
  html('div', { id: 'help' }, says, askButton, doneButton, form, message),
);

const closedText = html('p', { id: 'closed-text' });
const wait = html('button', { type: 'button', autofocus: true }, 'Wait');
const goAhead = html('button', { id: 'closed-ahead', type: 'button' }, 'Start it anyway');
const dialog = html(
  'dialog',
  { id: 'closed-dialog', 'aria-labelledby': 'closed-title', 'aria-describedby': 'closed-text' },
  html('h2', { id: 'closed-title' }, 'Not open yet'),
  closedText,
  html('div', { class: 'dialog-buttons' }, wait, goAhead),
);

/** @returns {Record<string, any>} empty outside a class */
const ofClass = () => record(record(get('lab')).class);

/** What was announced last, so that screen readers read only news. */
let known = { announcement: '', drill: '', coming: false };

/** @param {Record<string, any>} room */
function drawAnnouncement(room) {
  const said = text(record(room.announcement).text, 400);
  show(announcement, said !== '');
  setText(announced, said);
  setText(since, clock(text(record(room.announcement).since, 40)));
  if (said !== '' && said !== known.announcement) announce(`From your instructor: ${said}`);
  known.announcement = said;
}

/** Offers the class's drill until the learner starts it. Its incident has no name here. @param {Record<string, any>} room */
function drawDrill(room) {
  const { seed, started } = record(room.drill);
  const command = number(seed) === null || started === true ? '' : `cargo xtask drill --seed ${seed}`;
  show(drill, command !== '');
  setText(drillCommand, command);
  setAttribute(drillButton, 'data-drill', number(seed));
  if (command !== '' && command !== known.drill) announce('Your instructor started a drill.');
  known.drill = command;
}

/** @param {Record<string, any>} room */
function drawHelp(room) {
  const asked = text(record(room.help).text, 400);
  const coming = record(room.help).coming === true;
  const hadFocus = document.activeElement === askButton || document.activeElement === doneButton;
  setAttribute(section, 'data-help', asked === '' ? 'none' : coming ? 'coming' : 'asked');
  setText(says, asked === '' ? '' : `${coming ? 'Your instructor is coming.' : 'You asked for help:'} “${asked}”`);
  show(says, asked !== '');
  show(doneButton, asked !== '');
  show(askButton, asked === '' && form.hidden);
  if (coming && !known.coming) {
    announce('Your instructor is coming.');
    say(message, '');
  }
  known.coming = coming;
  if (hadFocus && document.activeElement === document.body) (asked === '' ? askButton : doneButton).focus();
}

function draw() {
  const room = ofClass();
  const learner = text(room.learner, 60);
  show(section, learner !== '');
  if (learner === '') return;
  setText(name, `${learner}’s lab`);
  document.title = `${learner}’s lab: Temporal Bug Lab`;
  drawAnnouncement(room);
  drawDrill(room);
  drawHelp(room);
  markClosed();
}

/** @param {boolean} open */
function showForm(open) {
  show(form, open);
  setAttribute(askButton, 'aria-expanded', String(open));
  drawHelp(ofClass());
  (open ? question : askButton.hidden ? says : askButton).focus();
}

/** @param {SubmitEvent} event */
function ask(event) {
  event.preventDefault();
  const button = form.querySelector('[type=submit]');
  once(button, async () => {
    if (question.value.trim() === '') {
      setAttribute(question, 'aria-invalid', 'true');
      say(message, 'bad', 'Write your question in a sentence.');
      question.focus();
      return false;
    }
    setAttribute(question, 'aria-invalid', null);
    try {
      await order('api/help', { text: question.value });
      say(message, 'ok', 'Your lab delivers your question to the class board.');
      question.value = '';
      showForm(false);
    } catch (error) {
      say(message, 'bad', sentence(error));
    }
    return true;
  });
}

function takeBack() {
  once(doneButton, async () => {
    try {
      await order('api/help/done', {});
      say(message, 'ok', 'You took your question back.');
    } catch (error) {
      say(message, 'bad', sentence(error));
    }
  });
}

/** The stages that the instructor has not opened yet, without the one that the learner is at. */
const closedStages = () => list(ofClass().closed).map((stage) => text(stage, 120)).filter((stage) => stage !== record(get('guide')).stage);

/** Adds a note to each button that starts a stage that is not open. */
function markClosed() {
  const closed = closedStages();
  for (const button of document.querySelectorAll('button.begin')) {
    const isClosed = closed.includes(button instanceof HTMLElement ? (button.dataset.stage ?? '') : '');
    const note = button.nextElementSibling?.matches('.closed-note') ? button.nextElementSibling : null;
    if (isClosed && !note) button.after(html('span', { class: 'closed-note' }, 'Not open yet'));
    if (!isClosed) note?.remove();
  }
}

/** The closed stage that the learner wants to start anyway. */
let asking = '';
let isConfirmed = false;

/** Asks before a closed stage is started. @param {MouseEvent} event */
function hold(event) {
  const button = event.target instanceof Element ? event.target.closest('button.begin') : null;
  if (!(button instanceof HTMLElement) || isConfirmed || !closedStages().includes(button.dataset.stage ?? '')) return;
  event.stopPropagation();
  asking = button.dataset.stage ?? '';
  const open = record(ofClass().open);
  const title = text(open.title, 200);
  setText(closedText, `Your instructor has opened the stages up to ${number(open.number) ?? ''}${title ? `, ${title}` : ''}.`);
  openDialog(dialog);
}

function startAllTheSame() {
  dialog.close();
  isConfirmed = true;
  // The button that was pressed may have been replaced meanwhile.
  const button = document.querySelector(`button.begin[data-stage="${CSS.escape(asking)}"]`);
  if (button instanceof HTMLElement) button.click();
  isConfirmed = false;
}

export function startClass() {
  byId('banner').before(section);
  document.body.append(dialog);
  prepareDialog(dialog, wait);
  goAhead.addEventListener('click', startAllTheSame);
  drillButton.addEventListener('click', () => {
    reveal('guide-title');
    enter(drillButton);
  });
  askButton.addEventListener('click', () => showForm(true));
  doneButton.addEventListener('click', takeBack);
  byId('help-cancel').addEventListener('click', () => showForm(false));
  form.addEventListener('submit', ask);
  document.addEventListener('click', hold, true);
  // Other modules can draw these buttons at any time.
  new MutationObserver(markClosed).observe(byId('guide'), { childList: true, subtree: true });
  watch('lab', draw);
}
