// Tells Google Analytics of the page, where deck.google_analytics names an account.
window.dataLayer = window.dataLayer || [];
function gtag() { window.dataLayer.push(arguments); }
gtag('js', new Date());
gtag('config', document.currentScript.dataset.id);
