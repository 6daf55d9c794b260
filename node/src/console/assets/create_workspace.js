import { call } from './api.js';
import { formDialog } from './dialog.js';
import { h, say } from './dom.js';
import { field, select } from './parts.js';

const UNITS = [[String(2 ** 20), 'MiB'], [String(2 ** 30), 'GiB'], [String(2 ** 40), 'TiB']];

/** Asks for a workspace and makes it. */
export function createWorkspace(context) {
  const size = h('input', { name: 'size', type: 'number', min: '1', step: '1', inputmode: 'numeric', id: 'quota-size' });
  const unit = select(UNITS, UNITS[1][0], { name: 'unit', 'aria-label': 'Unit of the quota' });
  const fields = [
    field('Name', h('input', { name: 'name', required: true, maxlength: '63', pattern: '[a-zA-Z0-9][a-zA-Z0-9_\\-]{0,62}', spellcheck: 'false' }),
      'Letters, digits, “-” and “_”; the first a letter or digit'),
    h('p', { class: 'field' }, h('label', { for: 'quota-size' }, 'Quota of data'), h('span', { class: 'pair' }, size, unit),
      h('span', { class: 'note' }, 'Empty: no limit')),
    field('Quota of files', h('input', { name: 'inodes', type: 'number', min: '1', step: '1', inputmode: 'numeric' }),
      'Files and directories together; empty: no limit'),
  ];
  formDialog('Create a workspace', fields, 'Create', async (values, dialog) => {
    const body = { name: values.name };
    if (values.size) body.quota_bytes = Number(values.size) * Number(values.unit);
    if (values.inodes) body.quota_inodes = Number(values.inodes);
    const made = await call('POST', '/v1/workspaces', { body });
    dialog.close();
    say(`Workspace ${made.address} is ready.`);
    context.go('workspace', { name: made.address });
  });
}
