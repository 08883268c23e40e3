// @ts-check
/**
 * The page of Temporal Bug Lab. Start reading here:
 *
 * - stream.js receives the server's events and puts them into store.js, one subject at a time;
 * - each view watches the subjects it shows: status.js, build.js, accounts.js, form.js, switches.js, versions.js, transfers.js, guide.js,
 *   drill.js, stages.js, consent.js, class.js, without.js;
 * - the layout follows from them: welcome.js before the first transfer, folds.js for what is folded, tabs.js on a narrow screen, and
 *   reveal.js takes the learner to an element;
 * - requests are sent by orders.js, and their effects come back over the stream: the page never guesses.
 *
 * outside.js sanitizes everything from outside before it is used.
 */
import { startAccounts } from './accounts.js';
import { startBuild } from './build.js';
import { startClass } from './class.js';
import { startConsent } from './consent.js';
import { startCopying } from './copy.js';
import { startDrill } from './drill.js';
import { startEditor } from './editor.js';
import { startFolds } from './folds.js';
import { startForm } from './form.js';
import { startGuide } from './guide.js';
import { startHistory } from './history.js';
import { startStages } from './stages.js';
import { startStatus } from './status.js';
import { startStream } from './stream.js';
import { startSwitches } from './switches.js';
import { startTabs } from './tabs.js';
import { startTransfers } from './transfers.js';
import { startVersions } from './versions.js';
import { startWelcome } from './welcome.js';
import { startWithout } from './without.js';

startCopying();
startStatus();
startBuild();
startEditor();
startAccounts();
startForm();
startSwitches();
startVersions();
startTransfers();
startHistory();
startGuide();
startStages();
startDrill();
startConsent();
startWithout();
startClass();
startWelcome();
startFolds();
startTabs();
startStream();
