// @ts-check
/** What is folded until it is needed: the names of the services, and the switches under *Make it harder*. */
import { byId, changed, setAttribute, setText } from './dom.js';
import { list, record, text } from './outside.js';
import { get, watch } from './store.js';

/** A stage whose text has these words sends the learner to the switches, or to the services. */
const NEEDS_SWITCHES = /real world mode|outage/i;
const NEEDS_SERVICES = /\bkill\b/i;

/** What the current stage needs. */
let needsSwitches = false;
let needsServices = false;

/**
 * The lab in one word, and its state for the dot.
 * @returns {{state: string, says: string, isDown: boolean}}
 */
function health() {
  const services = list(record(get('lab')).services).map(record);
  if (record(get('connection')).state === 'lost') return { state: 'unknown', says: 'No connection', isDown: true };
  if (services.length === 0) return { state: 'unknown', says: 'Connecting', isDown: false };
  const troubled = services.filter((service) => service.state !== 'running' || service.failing);
  if (troubled.length === 0) return { state: 'running', says: 'Lab running', isDown: false };
  const down = troubled.find((service) => service.failing || service.state === 'stopped');
  const [one] = troubled;
  const word = down ? 'down' : text(one.state, 20);
  const says = troubled.length === 1 ? `${text(one.name, 60)} ${word}` : `${troubled.length} services ${word}`;
  return { state: down ? 'stopped' : 'starting', says, isDown: down !== undefined };
}

/** The services unfold when one is down, and fold when all are running again; otherwise they stay as the learner left them. */
function drawHealth() {
  const { state, says, isDown } = health();
  const details = byId('health');
  setAttribute(details, 'data-state', state);
  setText(byId('health-says'), says);
  if (!isDown && state !== 'running') return;
  if (changed(details, [isDown, needsServices])) details.open = isDown || needsServices;
}

/** The switches unfold when one is on or the stage needs them. */
function drawTrouble() {
  const bank = record(get('bank'));
  const outage = record(bank.outage);
  const isOn = [record(bank.real_world_mode).enabled, outage.withdrawals, outage.deposits].includes(true);
  const details = byId('trouble');
  if (changed(details, [isOn, needsSwitches]) && (isOn || needsSwitches)) details.open = true;
}

export function startFolds() {
  watch('lab', drawHealth);
  watch('connection', drawHealth);
  watch('bank', drawTrouble);
  watch('guide', (value) => {
    const guide = record(value);
    const words = JSON.stringify([guide.html, guide.tasks]);
    needsSwitches = NEEDS_SWITCHES.test(words);
    needsServices = NEEDS_SERVICES.test(words);
    drawHealth();
    drawTrouble();
  });
}
