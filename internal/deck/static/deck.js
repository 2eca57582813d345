// Keeps pages current. Everything works without it; nothing here builds content of
// its own: regions come rendered from the server, and so do the lines of a log.
import { refresh } from './refresh.js';
import { followLog } from './log.js';
import { tick } from './times.js';

tick();
const log = followLog(document);
refresh({ changed: (region) => { tick(region); log?.update(); } });

for (const field of document.querySelectorAll('[data-submit]')) {
  field.addEventListener('change', () => field.form.requestSubmit());
}

// An empty field is no part of the address.
document.addEventListener('formdata', (event) => {
  for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
});

// "/" goes to the filter, "j" and "k" through the rows.
document.addEventListener('keydown', (event) => {
  if (event.defaultPrevented) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, select, textarea, [contenteditable]')) return;
  if (event.key === '/') {
    const field = document.querySelector('.filter input, .filter select');
    if (field) { event.preventDefault(); field.focus(); }
  } else if (event.key === 'j' || event.key === 'k') {
    const rows = [...document.querySelectorAll('.jobs tbody tr')];
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement.closest('tr'));
    const next = rows[Math.min(rows.length - 1, Math.max(0, at + (event.key === 'j' ? 1 : -1)))];
    next.querySelector('a')?.focus();
    next.scrollIntoView({ block: 'nearest' });
  }
});
