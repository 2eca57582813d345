// Shows times in the zone of the viewer, and lets durations run.
const time = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const dayAndTime = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const yearAndTime = new Intl.DateTimeFormat(undefined, { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' });

export function tick(within = document) {
  const now = new Date();
  const today = now.toDateString();
  for (const element of within.querySelectorAll('time[datetime]')) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    element.textContent = (at.toDateString() === today ? time : at.getFullYear() === now.getFullYear() ? dayAndTime : yearAndTime).format(at);
    element.title = full.format(at);
  }
  for (const element of document.querySelectorAll('[data-zone]')) {
    element.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone || 'local time';
  }
  run();
}

function run() {
  for (const element of document.querySelectorAll('[data-since]')) {
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(element.dataset.since)) / 1000));
    element.textContent = took(seconds);
  }
}

function took(s) {
  const two = (n) => String(n).padStart(2, '0');
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${two(s % 60)}s`;
  return `${Math.floor(s / 3600)}h${two(Math.floor(s / 60) % 60)}m`;
}

setInterval(run, 1000);
