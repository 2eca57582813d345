// Looks at grids of tests as people do: with and without scripts, by keyboard, in light and
// dark, on narrow screens. A test of Go serves them and sets the addresses.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const { DECK_URL: site, GRIDS: grids, GATE: gate, SCREENSHOTS: shots, CHROMIUM = '/usr/bin/chromium' } = process.env;
const options = { skip: grids ? false : 'the site of TestBrowserTestGrid is needed' };
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
let browser;

before(async () => {
  if (options.skip) return;
  mkdirSync(shots, { recursive: true });
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
});
after(() => browser?.close());

async function open(path, look = 'light') {
  const context = await browser.newContext({
    viewport: { width: look === 'narrow' ? 390 : 1280, height: 800 }, colorScheme: look === 'dark' ? 'dark' : 'light', javaScriptEnabled: look !== 'noscript', locale: 'en-GB', timezoneId: 'UTC',
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  const errors = [];
  page.on('console', (m) => { if (m.type() === 'error') errors.push(m.text()); });
  page.on('pageerror', (e) => errors.push(String(e)));
  page.on('dialog', (d) => { errors.push(`a dialog: ${d.message()}`); d.dismiss(); });
  page.on('request', (r) => { if (!r.url().startsWith(site)) errors.push(`foreign request ${r.url()}`); });
  await page.goto(`${site}${grids}/${path}`);
  return { page, errors, close: () => context.close() };
}

const pages = { picture: 'nightly', all: 'nightly?only=all&builds=50', empty: 'empty', fine: 'fine', choice: 'nightly?tests=nothing-like-it' };
for (const [name, path] of Object.entries(pages)) {
  for (const look of name === 'picture' || name === 'all' ? ['light', 'dark', 'narrow', 'noscript'] : ['light']) {
    test(`${name}, ${look}`, options, async () => {
      const { page, errors, close } = await open(path, look);
      await page.screenshot({ path: `${shots}/grid-${name}-${look}.png`, fullPage: true });
      if (look !== 'noscript') {
        const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(width <= 0, `the page is ${width} pixels wider than the window`);
        await page.evaluate(await readFile(axe, 'utf8')); // outside of the policy
        const { violations } = await page.evaluate(() => window.axe.run());
        assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes[0].html} ${v.nodes[0].failureSummary}`), []);
      }
      assert.deepEqual(errors, []);
      await close();
    });
  }
}

test('the first column stays where it is, and so do the builds', options, async () => {
  const { page, close } = await open('nightly?only=all&builds=50', 'narrow');
  const box = page.locator('.grid-box');
  const before = await page.locator('tbody tr:nth-child(2) th').boundingBox();
  await box.focus();
  for (let i = 0; i < 12; i++) await page.keyboard.press('ArrowRight');
  await page.waitForFunction(() => document.querySelector('.grid-box').scrollLeft > 200);
  const now = await page.locator('tbody tr:nth-child(2) th').boundingBox();
  assert.ok(Math.abs(before.x - now.x) < 2, `${before.x} became ${now.x}`);
  assert.ok(now.width < 200, `the first column is ${now.width} wide`);
  await page.screenshot({ path: `${shots}/grid-scrolled.png` });
  await box.evaluate((e) => { e.scrollTop = 500; });
  const head = await page.locator('thead th').first().boundingBox();
  const top = await box.boundingBox();
  assert.ok(Math.abs(head.y - top.y) < 3, `the head is at ${head.y}, the box at ${top.y}`);
  await close();
});

test('what a reader hears says outcome, build and test', options, async () => {
  const { page, close } = await open('nightly');
  const row = page.locator('tbody tr', { hasText: 'leader_election' });
  assert.equal(await row.locator('th').getAttribute('scope'), 'row');
  assert.match(await row.locator('.g-now').innerText(), /fails since .*, 6 builds/s);
  const cells = await row.locator('td.g').allTextContents();
  assert.deepEqual(cells.slice(0, 8), ['failed', 'failed', 'failed', 'failed', 'failed', 'failed', 'passed', 'passed']);
  const link = row.locator('td.g a').first();
  assert.equal((await link.ariaSnapshot()).includes('link "failed"'), true, await link.ariaSnapshot());
  const head = await page.locator('thead th.g-build').first().ariaSnapshot();
  assert.match(head, /Build 18157\d+/);
  assert.equal(await page.locator('tr.overall td').nth(3).innerText().then((t) => /failed/.test(t)), true);
  await close();
});

test('a failed cell leads to the test in the lens', options, async () => {
  const { page, errors, close } = await open('nightly');
  await page.locator('tbody tr', { hasText: 'leader_election' }).locator('td.g a').nth(1).focus();
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/view\/.*#3:test-/);
  const frame = await (await page.waitForSelector('#lens-3:not(.loading) iframe')).contentFrame();
  const id = decodeURIComponent(new URL(page.url()).hash).replace(/^#3:/, '');
  await frame.waitForSelector(`details#${id}`);
  assert.match(await frame.innerText(`details#${id} summary`), /leader_election/);
  // The page has scrolled to it.
  await page.waitForFunction(() => window.scrollY > 0 || document.documentElement.scrollHeight <= window.innerHeight);
  await page.screenshot({ path: `${shots}/grid-lens.png` });
  assert.deepEqual(errors, []);
  await close();
});

test('tests are chosen without a script', options, async () => {
  const { page, close } = await open('nightly?only=all', 'noscript');
  await page.fill('input[name=tests]', 'REPAIRED');
  await page.click('.filter button');
  assert.match(page.url(), /tests=REPAIRED/);
  assert.match(page.url(), /only=all/);
  assert.equal(await page.locator('tbody tr').count(), 2); // with the one of all
  await page.click('text=Older builds');
  assert.match(page.url(), /buildId=\d+/);
  assert.match(page.url(), /tests=REPAIRED/);
  assert.equal(await page.locator('thead th.g-build').count(), 10);
  await page.click('text=Newer builds');
  assert.equal(await page.locator('thead th.g-build').count(), 20);
  await close();
});

test('what is being read comes by itself', options, async () => {
  const { page, errors, close } = await open('slow');
  assert.match(await page.innerText('.notice'), /20 of 20 builds are still being read/);
  await page.screenshot({ path: `${shots}/grid-reading.png` });
  const plain = await open('slow', 'noscript');
  assert.match(await plain.page.innerText('.notice'), /still being read/);
  await fetch(gate);
  await page.waitForSelector('#grid:not([data-reading])');
  assert.ok(await page.locator('tbody tr').count() > 4);
  await plain.page.click('text=Look again');
  assert.equal(await plain.page.locator('.notice').count(), 0);
  assert.deepEqual(errors, []);
  await close();
  await plain.close();
});
