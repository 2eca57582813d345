// Looks at every fixture of every built-in lens, and uses their scripts. A test of Go
// serves them and sets the addresses; without it there is nothing to do here.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const { LENSES_URL: site, FIXTURES = '', SCREENSHOTS: shots, CHROMIUM = '/usr/bin/chromium' } = process.env;
const options = { skip: site ? false : 'the lenses are not served' };
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
let browser;

before(async () => { if (site) browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] }); });
after(() => browser?.close());

async function open(path, look = 'light') {
  const context = await browser.newContext({
    viewport: { width: look === 'narrow' ? 360 : 1100, height: 700 },
    colorScheme: look === 'dark' ? 'dark' : 'light',
    javaScriptEnabled: look !== 'noscript',
    timezoneId: 'Asia/Tokyo', locale: 'en-GB',
  });
  const page = await context.newPage();
  const errors = [];
  page.on('console', (m) => { if (m.type() === 'error' && !m.text().includes('404')) errors.push(m.text()); });
  page.on('pageerror', (e) => errors.push(String(e)));
  page.on('dialog', (d) => { errors.push(`a dialog: ${d.message()}`); d.dismiss(); });
  page.on('request', (r) => { if (!r.url().startsWith(site) && !r.url().startsWith('about:') && !r.url().startsWith('data:')) errors.push(`foreign request ${r.url()}`); });
  await page.goto(`${site}/${path}`);
  return { page, errors, close: () => context.close() };
}

for (const fixture of FIXTURES.split(' ').filter(Boolean)) {
  for (const look of ['light', 'dark', 'narrow', 'noscript']) {
    test(`${fixture}, ${look}`, options, async () => {
      const { page, errors, close } = await open(fixture, look);
      assert.ok((await page.locator('main').innerText()).trim());
      if (look !== 'noscript') {
        // Everything is opened, so that all of it is looked at.
        await page.evaluate(() => { for (const d of document.querySelectorAll('details')) d.open = true; });
        await page.waitForTimeout(100);
        const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(width <= 0, `it is ${width} pixels wider than the frame`);
      }
      await page.screenshot({ path: `${shots}/${fixture.replace('/', '-')}-${look}.png`, fullPage: look !== 'noscript' });
      if (look !== 'noscript' && !fixture.startsWith('html/')) {
        // The policy forbids foreign scripts, so axe runs outside of it.
        await page.evaluate(await readFile(axe, 'utf8'));
        const { violations } = await page.evaluate(() => window.axe.run(document, { rules: { 'heading-order': { enabled: false }, 'page-has-heading-one': { enabled: false } } }));
        assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes[0].html} ${v.nodes[0].failureSummary}`), []);
      }
      assert.deepEqual(fixture === 'html/hostile' ? [] : errors, []);
      await close();
    });
  }
}

test('times are in the zone of the viewer', options, async () => {
  const { page, close } = await open('metadata/passed');
  assert.match(await page.innerText('.sentence'), /20:50:00/); // 11:50 UTC in Tokyo
  await close();
});

test('hidden lines are loaded, ten, a hundred or all at a time', options, async () => {
  const { page, errors, close } = await open('buildlog/large');
  const lines = () => page.locator('.l').count();
  assert.equal(await lines(), 10);
  await page.click('[data-expand=top]');
  await page.waitForFunction(() => document.querySelectorAll('.l').length === 20);
  assert.equal(await page.locator('.l').first().locator('a').innerText(), '1');
  await page.click('[data-expand=bottom]', { modifiers: ['Shift'] });
  await page.waitForFunction(() => document.querySelectorAll('.l').length === 120);
  await page.click('[data-expand=top]', { modifiers: ['Shift', 'Control'] });
  await page.waitForFunction(() => document.querySelectorAll('.l').length === 1120);
  assert.equal(await page.evaluate(() => document.activeElement.closest('.l')?.id), 'build-log.txt:11');
  await page.click('.g [data-expand=all]');
  await page.waitForFunction(() => document.querySelectorAll('.l').length === 10000);
  assert.equal(await page.locator('.g').count(), 0);
  const numbers = await page.$$eval('.l', (all) => all.every((l, i) => l.id === `build-log.txt:${i + 1}` && l.textContent === `${i + 1}line ${i + 1} of a long log`));
  assert.ok(numbers, 'lines are missing, or in another order');
  assert.deepEqual(errors, []);
  await close();
});

test('a link to hidden lines loads and marks them; Shift chooses more; they can be pinned', options, async () => {
  const { page, errors, close } = await open('buildlog/large#build-log.txt:5007-5003');
  await page.waitForSelector('.l.picked');
  assert.deepEqual(await page.$$eval('.l.picked', (all) => all.map((l) => l.id)), [5003, 5004, 5005, 5006, 5007].map((n) => `build-log.txt:${n}`));
  assert.ok(await page.evaluate(() => spyglass.scrolled[1] > 0));
  await page.click('[id="build-log.txt:5010"] > a', { modifiers: ['Shift'] });
  await page.waitForFunction(() => document.querySelectorAll('.l.picked').length === 8);
  assert.equal(await page.evaluate(() => spyglass.hash), 'build-log.txt:5003-5010');
  assert.match(page.url(), /#build-log.txt:5003-5010$/);
  await page.click('[id="build-log.txt:5000"] > a', { modifiers: ['Shift'] });
  await page.waitForFunction(() => document.querySelectorAll('.l.picked').length === 4);
  await page.click('[data-do=pin]');
  await page.waitForSelector('.l.focus');
  assert.equal(await page.locator('.l.focus').count(), 4);
  assert.match(await page.innerText('.say'), /pinned/);
  const { page: other, close: closeOther } = await open('buildlog/large');
  assert.equal(await other.locator('.l.focus').count(), 4);
  await other.click('[data-do=unpin]');
  await other.waitForFunction(() => document.querySelectorAll('.l.focus').length === 0);
  await closeOther();
  assert.deepEqual(errors, []);
  await close();
});

test('ten thousand tests come a thousand at a time', options, async () => {
  const { page, errors, close } = await open('junit/large');
  await page.click('summary:has-text("Passed")');
  assert.equal(await page.locator('.list li:not(.more)').count(), 1000);
  await page.click('text=Show more');
  await page.waitForFunction(() => document.querySelectorAll('.list li:not(.more)').length === 2000);
  assert.match(await page.textContent('.more'), /8,000 more tests/);
  assert.deepEqual(errors, []);
  await close();
});

test('a page of a job runs its script, and nothing beyond', options, async () => {
  const { page, close } = await open('html/kinds');
  await page.waitForFunction(() => document.querySelectorAll('.file:not([open])').length === 2); // measured, so closed
  await page.evaluate(() => { for (const d of document.querySelectorAll('details')) d.open = true; });
  const frames = page.frames().filter((f) => f !== page.mainFrame());
  assert.equal(frames.length, 2);
  const frame = frames[0];
  const texts = await Promise.all(frames.map((f) => f.locator('body').innerText()));
  assert.ok(texts.some((t) => t.includes('with "script" & more')), texts.join());
  const reach = await frame.evaluate(async () => {
    const out = [];
    try { out.push(String(parent.document)); } catch { out.push('no parent'); }
    try { out.push(String(localStorage)); } catch { out.push('no storage'); }
    try { await fetch('https://example.com'); out.push('fetched'); } catch { out.push('no network'); }
    return out.join();
  });
  assert.equal(reach, 'no parent,no storage,no network');
  await close();
});

test('an address can be copied', options, async () => {
  const { page, errors, close } = await open('links/kinds');
  await page.locator('button[data-copy]:visible').first().click();
  await page.waitForSelector('button:has-text("Copied")');
  assert.deepEqual(errors, []);
  await close();
});
