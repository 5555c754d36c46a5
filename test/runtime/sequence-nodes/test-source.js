// Node-RED loads .js only; Node.js strips the types of what is behind it.
export { default } from './source.ts';
