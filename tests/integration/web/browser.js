// Debian's Chromium, headless, driven by playwright-core.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

export const CHROMIUM = process.env.BFT_CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'];

/** A fresh profile; `extension`: the folder of an unpacked one. */
export async function openBrowser({ extension, args = [] } = {}) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'bft-chromium-'));
  const more = extension ? [`--load-extension=${extension}`, `--disable-extensions-except=${extension}`,
    '--disable-features=DisableLoadExtensionCommandLineSwitch'] : [];
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM, headless: true, viewport: { width: 1280, height: 900 }, acceptDownloads: true,
    ...(extension ? { ignoreDefaultArgs: ['--disable-extensions'] } : {}),
    args: [...FLAGS, ...more, ...args],
  });
  return { context, close: async () => { await context.close(); fs.rmSync(profile, { recursive: true, force: true }); } };
}
