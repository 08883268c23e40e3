// @ts-check
/**
 * The page of Temporal Bug Lab. Read on from here:
 *
 * - stream.js receives the server's events and puts them into store.js, one subject at a time;
 * - each view watches the subjects it shows: status.js, accounts.js, form.js, switches.js, transfers.js, guide.js, stages.js,
 *   without.js, class.js;
 * - requests are sent by orders.js, and their effects come back over the stream: the page never guesses.
 *
 * outside.js sanitizes everything from outside before it is used.
 */
import { startAccounts } from './accounts.js';
import { startClass } from './class.js';
import { startCopying } from './copy.js';
import { startForm } from './form.js';
import { startGuide } from './guide.js';
import { startHistory } from './history.js';
import { startStages } from './stages.js';
import { startStatus } from './status.js';
import { startStream } from './stream.js';
import { startSwitches } from './switches.js';
import { startTransfers } from './transfers.js';
import { startWithout } from './without.js';

startCopying();
startStatus();
startAccounts();
startForm();
startSwitches();
startTransfers();
startHistory();
startGuide();
startStages();
startWithout();
startClass();
startStream();
