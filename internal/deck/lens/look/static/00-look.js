// What all lenses do in the browser: times in the zone of the viewer, buttons that
// copy, and a word to the page when something was opened or closed.
'use strict';
(() => {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' });
  const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' });

  function localise(within) {
    for (const element of within.querySelectorAll('time[datetime]')) {
      const at = new Date(element.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      element.textContent = format.format(at);
      element.title = full.format(at);
    }
  }

  // A frame of its own origin may not use the clipboard, but may copy what is selected.
  function copy(button) {
    const area = document.createElement('textarea');
    area.value = button.dataset.copy;
    area.readOnly = true;
    area.className = 'copying';
    button.after(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    button.focus();
    const before = button.textContent;
    button.textContent = done ? 'Copied' : 'Not copied';
    setTimeout(() => { button.textContent = before; }, 1500);
  }

  const changed = () => globalThis.spyglass?.contentUpdated?.();

  function begin() {
    document.documentElement.classList.add('with-script');
    localise(document);
    document.addEventListener('toggle', changed, true);
    document.addEventListener('click', (event) => {
      const button = event.target.closest('button[data-copy]');
      if (button) copy(button);
    });
    new MutationObserver((all) => {
      for (const { addedNodes } of all) for (const node of addedNodes) if (node.nodeType === Node.ELEMENT_NODE) localise(node.parentNode ?? node);
    }).observe(document.body, { childList: true, subtree: true });
  }
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', begin);
  else begin();
})();
