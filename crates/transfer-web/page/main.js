// @ts-check
/**
 * The page of Temporal Bug Lab. Read on from here:
 *
 * - stream.js receives what the server sends and puts it into store.js, one subject at a time;
 * - each view watches the subjects it shows: status.js, accounts.js, form.js, switches.js, transfers.js, guide.js, stages.js,
 *   without.js;
 * - orders go out by orders.js, and what they change comes back over the stream: the page never guesses.
 *
 * What is from outside is made harmless by outside.js before anything is done with it.
 */
import { startAccounts } from './accounts.js';
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
startStream();
