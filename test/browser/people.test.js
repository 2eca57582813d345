// Signs people in with their accounts of a local forge, and uses what is theirs.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const { DECK_URL: site, FORGE_URL: forge, SCREENSHOTS: shots, CHROMIUM = '/usr/bin/chromium' } = process.env;
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
let browser;

before(async () => { browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] }); });
after(() => browser?.close());

async function visitor(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const errors = [];
  page.on('console', (m) => { if (m.type() === 'error' && !m.text().includes('404')) errors.push(m.text()); });
  page.on('pageerror', (e) => errors.push(String(e)));
  return { page, errors, context, close: () => context.close() };
}

// signedIn is a visitor who has said yes on the forge, as whom they chose to be there.
async function signedIn(login, path, options) {
  const v = await visitor(options);
  await v.context.addCookies([{ name: 'forge_user', value: login, url: forge }]);
  await v.page.goto(site + path);
  assert.ok(v.page.url().startsWith(forge), `it leads to ${v.page.url()}`);
  await v.page.click('button[name=allow][value=yes]');
  await v.page.waitForURL((u) => u.href.startsWith(site));
  return v;
}

for (const look of ['light', 'dark', 'narrow', 'noscript']) {
  test(`pull requests, ${look}`, async () => {
    const { page, errors, close } = await signedIn('ann', '/pr', {
      colorScheme: look === 'dark' ? 'dark' : 'light',
      javaScriptEnabled: look !== 'noscript',
      ...(look === 'narrow' ? { viewport: { width: 375, height: 720 } } : {}),
    });
    await page.waitForURL(/\/pr\?query=is%3Apr/);
    assert.equal(await page.locator('.pull-card').count(), 2);
    assert.match(await page.locator('main').innerText(), /Needs approved label\./);
    assert.match(await page.locator('main').innerText(), /Merges into o\/r main are blocked by #99/);
    await page.screenshot({ path: `${shots}/pull-requests-${look}.png`, fullPage: true });
    if (look !== 'noscript') {
      const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(width <= 0, `the page is ${width} pixels wider than the screen`);
      await page.evaluate(await readFile(axe, 'utf8'));
      const { violations } = await page.evaluate(() => window.axe.run());
      assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes[0].html} ${v.nodes[0].failureSummary}`), []);
    }
    assert.deepEqual(errors, []);
    await close();
  });
}

for (const look of ['light', 'dark', 'narrow', 'noscript']) {
  test(`webhooks and a refusal, ${look}`, async () => {
    const options = {
      colorScheme: look === 'dark' ? 'dark' : 'light',
      javaScriptEnabled: look !== 'noscript',
      ...(look === 'narrow' ? { viewport: { width: 375, height: 720 } } : {}),
    };
    for (const [login, name] of [['alice', 'webhooks'], ['bob', 'refusal']]) {
      const { page, errors, close } = await signedIn(login, '/sign-in?dest=deliveries', options);
      await page.waitForURL(/deliveries/);
      assert.match(await page.locator('main').innerText(), login === 'alice' ? /issue_comment/ : /bob may not do this/);
      await page.screenshot({ path: `${shots}/${name}-${look}.png`, fullPage: true });
      if (look !== 'noscript') {
        const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(width <= 0, `the page is ${width} pixels wider than the screen`);
        await page.evaluate(await readFile(axe, 'utf8'));
        const { violations } = await page.evaluate(() => window.axe.run());
        assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes[0].html} ${v.nodes[0].failureSummary}`), []);
      }
      assert.deepEqual(errors.filter((e) => !/403/.test(e)), []);
      await close();
    }
  });
}

test('a webhook is handled again', async () => {
  const { page, errors, close } = await signedIn('alice', '/sign-in?dest=deliveries');
  await page.waitForURL(/deliveries/);
  await page.locator('form[action$="deliveries/a/replay"] button').first().click();
  await page.waitForURL(/deliveries/);
  await page.waitForLoadState();
  assert.deepEqual(errors, []);
  await close();
});

test('a search on GitHub has an address that stays, and back leads back', async () => {
  const { page, errors, close } = await signedIn('ann', '/pr');
  await page.fill('input[name=query]', 'is:pr author:ann Document');
  await page.keyboard.press('Enter');
  await page.waitForURL(/Document/);
  assert.equal(await page.locator('.pull-card').count(), 1);
  await page.reload();
  assert.equal(await page.locator('.pull-card').count(), 1);
  await page.goBack();
  assert.equal(await page.locator('.pull-card').count(), 2);
  await page.click('text=What Tide wants >> nth=0');
  assert.ok(await page.locator('.wants').first().isVisible());
  await page.click('text=What Tide merged of ann');
  await page.waitForURL(/tide-history\?author=ann/);
  assert.equal(await page.locator('.history tbody tr').count(), 1);
  await page.selectOption('select[name=state]', 'failure');
  await page.waitForURL(/state=failure/);
  assert.match(await page.locator('main').innerText(), /Tide did nothing of this kind/);
  assert.deepEqual(errors, []);
  await close();
});

test('who has signed in runs a job again, and signs out', async () => {
  const { page, errors, close } = await signedIn('bob', '/sign-in?dest=run/for-one/rerun');
  await page.waitForURL(/run\/for-one\/rerun/);
  assert.match(await page.locator('.who').innerText(), /bob/);
  await page.click('main button');
  await page.waitForURL(/done=rerun/);
  assert.match(await page.locator('.done').innerText(), /runs again/);
  await page.click('.who button');
  await page.waitForURL(site + '/');
  assert.match(await page.locator('.who').innerText(), /Sign in/);
  assert.deepEqual(errors, []);
  await close();
});
