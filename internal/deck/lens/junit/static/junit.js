// Asks for the rest of long lists and texts.
'use strict';
document.addEventListener('click', async (event) => {
  const button = event.target.closest('button[data-ask]');
  if (!button) return;
  button.disabled = true;
  try {
    const html = await spyglass.requestPage(button.dataset.ask);
    if ('whole' in button.dataset) {
      button.closest('.details').innerHTML = html;
    } else {
      const row = button.closest('li');
      const before = row.previousElementSibling;
      row.insertAdjacentHTML('beforebegin', html);
      row.remove();
      const next = before?.nextElementSibling;
      if (next) { next.tabIndex = -1; next.focus({ preventScroll: true }); }
    }
  } catch {
    button.disabled = false;
    button.textContent = 'That did not work: try again';
  }
  spyglass.contentUpdated();
});
