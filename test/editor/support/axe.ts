import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

interface Violation {
  id: string;
  impact: string;
  help: string;
  nodes: { target: string[]; failureSummary: string }[];
}

interface AxeGlobals {
  axe: { run(context: unknown, options: unknown): Promise<{ violations: Violation[] }> };
}

const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe-core finds serious or critical inside the selected elements, one line a finding. */
export async function seriousFindings(page: Page, include: string): Promise<string[]> {
  await page.evaluate(source);
  const violations = await page.evaluate(async (selector) => {
    const { axe } = globalThis as unknown as AxeGlobals;
    return (await axe.run({ include: [[selector]] }, { resultTypes: ['violations'] })).violations;
  }, include);
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, help, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id} (${help}): ${target.join(' ')}: ${failureSummary}`),
    );
}
