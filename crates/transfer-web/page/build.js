// @ts-check
/** The worker's build: its progress, the compiler's errors, and when the learner's change went live. */
import { announce } from './announce.js';
import { command } from './copy.js';
import { byId, changed, html, pathParts, setAttribute, setText, show } from './dom.js';
import { list, number, record, text } from './outside.js';
import { get, watch } from './store.js';
import { everySecond, now, span } from './time.js';
import { versionsOf } from './versions.js';

/** How long the page says that a change is live, in seconds. */
const LIVE_SHOWN_SECONDS = 30;
/** The supervisor sends at most three errors. */
const MOST_ERRORS = 3;
/** An excerpt is longer than other texts. */
const LONGEST_EXCERPT = 12_000;

/** When the change went live that was announced last; null before the first event. @type {number | null} */
let announced = null;

/** The lab's status; empty if the connection is lost. */
function lab() {
  return record(get('connection')).state === 'lost' ? {} : record(get('lab'));
}

/**
 * The compiler's errors of the last build.
 * @returns {Record<string, any>[]}
 */
export function buildErrors() {
  return list(lab().build_errors).slice(0, MOST_ERRORS).map(record);
}

/**
 * Which code runs while the learner's change does not compile, in a sentence.
 * @param {Record<string, any>} status
 */
export function whatStillRuns(status) {
  if (versionsOf(status).length > 0) return 'The deployed versions are still running.';
  const worker = list(status.services).map(record).find((service) => service.name === 'worker');
  return worker?.state === 'stopped' ? 'No worker is running.' : 'The previous version is still running.';
}

/** How many seconds ago the change went live, or null if there is none to report. */
function liveFor() {
  const since = number(lab().live_since);
  const seconds = since === null ? null : Math.max(0, now() - since);
  return seconds !== null && seconds < LIVE_SHOWN_SECONDS ? seconds : null;
}

/** @returns {[string, string]} the state, and the text that shows it */
function progress() {
  const { build, build_began: began } = lab();
  const seconds = number(began) ? span(Math.max(0, Math.floor(now() - began))) : '';
  if (build === 'building') return ['building', `building the worker… ${seconds}`.trim()];
  if (build === 'failed') return ['failed', 'build failed'];
  const live = liveFor();
  if (build === 'ok' && live !== null) {
    return ['live', live < 1 ? '✓ Built. Your change is live.' : `✓ Built. Your change went live ${span(Math.floor(live))} ago.`];
  }
  return [build === 'ok' ? 'ok' : 'unknown', ''];
}

function drawProgress() {
  const place = byId('build');
  const [state, words] = progress();
  setAttribute(place, 'data-build', state);
  setText(place, words);
  show(place, words !== '');
}

/** @param {Record<string, any>} error */
function errorItem(error) {
  const place = text(error.place, 300);
  return html(
    'li',
    { class: 'build-error' },
    html('p', {}, html('strong', {}, text(error.message, 600)), ...(place ? [' ', html('code', { class: 'place' }, ...pathParts(place))] : [])),
    html('pre', { tabindex: 0, role: 'group', 'aria-label': 'Compiler output' }, text(error.excerpt, LONGEST_EXCERPT)),
  );
}

function drawErrors() {
  const { build, manifest_unusable: isManifest } = lab();
  const errors = isManifest === true ? [] : buildErrors();
  const isShown = errors.length > 0 && (build === 'failed' || build === 'building');
  show(byId('build-panel'), isShown);
  if (!isShown) return;
  const again = build === 'building' ? 'Building your change. The errors below are from the last build.' : `${whatStillRuns(lab())} Fix it and save.`;
  setText(byId('build-now'), again);
  if (!changed(byId('build-errors'), errors)) return;
  byId('build-errors').replaceChildren(...errors.map(errorItem));
  announce(`The worker does not compile: ${text(errors[0].message, 200)}`);
}

function announceLive() {
  if (get('lab') === undefined) return;
  const since = number(lab().live_since) ?? 0;
  if (announced !== null && since > announced) announce('Built. Your change is live.');
  announced = Math.max(announced ?? 0, since);
}

export function startBuild() {
  byId('build-output').append(command('cargo xtask lab logs build'));
  const draw = () => {
    drawProgress();
    drawErrors();
    announceLive();
  };
  watch('lab', draw);
  watch('connection', draw);
  everySecond(drawProgress);
}
