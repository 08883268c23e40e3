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
/** A server that takes a connection and then says nothing for this many seconds is taken for lost. */
const PATIENCE = 10;

/** @type {EventSource | null} */
let source = null;
let offset = 0;
let failures = 0;
/** When something last came, in seconds since 1970; null before. @type {number | null} */
let lastHeard = null;
/** @type {number | undefined} */
let again;
/** @type {number | undefined} */
let patience;

function close() {
  clearTimeout(again);
  clearTimeout(patience);
  source?.close();
  source = null;
}

/** Says that the server is gone, and sees to the next try. */
function lost() {
  close();
  put('connection', { state: 'lost', since: lastHeard });
  again = setTimeout(open, (WAITS[failures] ?? 2) * 1000);
  failures = Math.min(failures + 1, WAITS.length);
}

function open() {
  close();
  const opened = new EventSource(`/api/events?offset=${offset}&limit=${PAGE}`);
  source = opened;
  patience = setTimeout(lost, PATIENCE * 1000);
  opened.onerror = lost;
  opened.onopen = () => {
    clearTimeout(patience);
    put('connection', { state: 'open', since: null });
  };
  for (const subject of /** @type {const} */ (['lab', 'bank', 'guide', 'transfers'])) {
    opened.addEventListener(subject, (event) => {
      // A stream that was closed for another page of the list has nothing more to say.
      if (source !== opened) return;
      let value;
      try {
        value = record(JSON.parse(event.data));
      } catch {
        return;
      }
      setClock(value.now);
      lastHeard = now();
      failures = 0;
      put(subject, value);
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

/** Begins, and goes on for as long as the page is there. */
export function startStream() {
  put('connection', { state: 'opening', since: null });
  open();
  // Timers are slow in a tab that nobody looks at: do not let the one who comes back wait for them.
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && !source) open();
  });
  // A page that the browser sets aside must not hold a connection; if it comes back, so does the stream.
  addEventListener('pagehide', close);
  addEventListener('pageshow', (event) => {
    if (event.persisted) open();
  });
  addEventListener('online', () => {
    if (!source) open();
  });
}
