// The pages work without this file. It keeps them fresh, writes times in the phone's zone and offers
// notifications.
import { localTimes, say } from "./page.js";
import { follow } from "./live.js";
import { notifications } from "./notify.js";

localTimes(document);
const live = document.body.dataset.live;
if (live) {
  follow(live, () => notifications().catch(() => {}));
  notifications().catch(() => say("Notifications cannot be set up just now."));
}
