// @ts-check
/**
 * The live stream from the server: which part of the list of transfers it shows, and how it comes back when it breaks.
 *
 * EventSource tries again by itself after some failures and gives up after others. Here every failure is handled alike:
 * close, wait a little, open anew, for as long as the page is open.
 */
import { record } from './outside.js';
import { put } from './store.js';
import { now, setClock } from './time.js';

/** How many transfers a page of the list has. */
export const PAGE = 10;
/** Seconds between two tries. The last one goes on for ever. */
const WAITS = [0.2, 0.5, 1, 2];
/** A server that takes a connection and then says nothing for this many seconds does not answer. */
const SILENCE_TIMEOUT_SECONDS = 10;
/** The server says something every ten seconds, if only that it is there. This many without a word, and it does not answer. */
const SILENCE = 25;
/**
 * A page that nobody has looked at for this many seconds lets go of its stream: a browser has six connections to a server for
 * all of its tabs, and six streams would leave none for an order.
 */
const HIDDEN = 5;

/** @type {EventSource | null} */
let source = null;
let offset = 0;
let failures = 0;
/** When something last came, in seconds since 1970; null before. @type {number | null} */
let lastHeard = null;
/** @type {number | undefined} */
let again;
/** @type {number | undefined} */
let silenceTimer;
/** Whether the stream is let go of because nobody looks. */
let asleep = false;
/** @type {number | undefined} */
let drowsy;

function close() {
  clearTimeout(again);
  clearTimeout(silenceTimer);
  source?.close();
  source = null;
}

/**
 * Says that the server is gone, or there and silent, and sees to the next try.
 * @param {boolean} silent
 */
function lost(silent) {
  close();
  put('connection', { state: 'lost', silent, since: lastHeard });
  again = setTimeout(open, (WAITS[failures] ?? 2) * 1000);
  failures = Math.min(failures + 1, WAITS.length);
}

/**
 * Gives the server this many seconds for its next word.
 * @param {number} seconds
 */
function expectWord(seconds) {
  clearTimeout(silenceTimer);
  silenceTimer = setTimeout(() => lost(true), seconds * 1000);
}

function open() {
  close();
  if (asleep) return;
  const opened = new EventSource(`/api/events?offset=${offset}&limit=${PAGE}`);
  source = opened;
  expectWord(SILENCE_TIMEOUT_SECONDS);
  opened.onerror = () => lost(false);
  opened.onopen = () => {
    expectWord(SILENCE);
    put('connection', { state: 'open', silent: false, since: null });
  };
  for (const subject of /** @type {const} */ (['beat', 'lab', 'bank', 'guide', 'transfers'])) {
    opened.addEventListener(subject, (event) => {
      // A stream that was closed for another page of the list has nothing more to say.
      if (source !== opened) return;
      expectWord(SILENCE);
      let value;
      try {
        value = record(JSON.parse(event.data));
      } catch {
        return;
      }
      setClock(value.now);
      lastHeard = now();
      failures = 0;
      if (subject !== 'beat') put(subject, value);
    });
  }
}

/**
 * Shows the page of the list that begins with transfer number `from`, counted from 0, newest first.
 * @param {number} from
 */
export function showFrom(from) {
  const wanted = Math.max(0, from);
  if (wanted === offset && source) return;
  offset = wanted;
  open();
}

/** Lets go of the stream once nobody has looked for a while, and has it back at once when somebody does. */
function sleepOrWake() {
  clearTimeout(drowsy);
  if (document.hidden) {
    drowsy = setTimeout(() => {
      asleep = true;
      close();
    }, HIDDEN * 1000);
    return;
  }
  asleep = false;
  if (!source) open();
}

/** Begins, and goes on for as long as the page is there. */
export function startStream() {
  put('connection', { state: 'opening', silent: false, since: null });
  open();
  sleepOrWake();
  document.addEventListener('visibilitychange', sleepOrWake);
  // A page that the browser sets aside must not hold a connection; if it comes back, so does the stream.
  addEventListener('pagehide', close);
  addEventListener('pageshow', (event) => {
    if (event.persisted) open();
  });
  addEventListener('online', () => {
    if (!source) open();
  });
}
