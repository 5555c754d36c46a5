import assert from 'node:assert/strict';
import type { Node } from '../../../nodes/shared/red.ts';
import { type Stopping, stoppingNodes } from '../../../nodes/shared/stopping-nodes.ts';

const node = (path: string) => {
  const ids = path.split('/');
  return { id: ids.at(-1), z: ids.at(-2), type: 'x', _path: path } as Node;
};

describe('which nodes a deploy stops', () => {
  for (const [what, event, path, stops] of [
    ['full: all', { type: 'full' }, 'tab/n', true],
    ['at the end of the process: all', { type: 'full', diff: {} }, 'tab/n', true],
    [
      'global environment changed: all',
      { type: 'nodes', diff: { globalConfigChanged: true } },
      'tab/n',
      true,
    ],
    ['nodes: the changed', { type: 'nodes', diff: { changed: ['n', 'tab'] } }, 'tab/n', true],
    [
      'nodes: not the others of its tab',
      { type: 'nodes', diff: { changed: ['n', 'tab'] } },
      'tab/other',
      false,
    ],
    ['nodes: the removed', { type: 'nodes', diff: { removed: ['n'] } }, 'tab/n', true],
    ['nodes: not the rewired', { type: 'nodes', diff: { rewired: ['n'], linked: ['n'] } }, 'tab/n', false],
    [
      'flows: the rewired and the linked',
      { type: 'flows', diff: { rewired: ['m'], linked: ['n'] } },
      'tab/n',
      true,
    ],
    [
      'nodes: all of a tab with new variables',
      { type: 'nodes', diff: { flowChanged: ['tab'] } },
      'tab/n',
      true,
    ],
    ['nodes: all of a removed tab', { type: 'nodes', diff: { removed: ['tab'] } }, 'tab/n', true],
    [
      'nodes: what is in a changed subflow',
      { type: 'nodes', diff: { changed: ['sub-a'] } },
      'tab/sub-a/n',
      true,
    ],
    ['nodes: not what is in another', { type: 'nodes', diff: { changed: ['sub-a'] } }, 'tab/sub-b/n', false],
  ] satisfies [string, Stopping, string, boolean][]) {
    it(what, () => assert.equal(stoppingNodes(event)(node(path)), stops));
  }

  it('does without the path of a node', () => {
    const stops = stoppingNodes({ type: 'nodes', diff: { changed: ['n'] } });
    assert.ok(stops({ id: 'n', z: 'tab', type: 'x' } as Node));
  });
});
