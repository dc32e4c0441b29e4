import { styleNonce } from "../session/nonce";

// Monaco creates style elements without a nonce, so each style element of this page gets it here
const nonce = styleNonce();
if (nonce !== undefined) {
  const create = document.createElement.bind(document);
  document.createElement = ((name: string, options?: ElementCreationOptions) => {
    const element = create(name, options);
    if (element instanceof HTMLStyleElement) element.nonce = nonce;
    return element;
  }) as typeof document.createElement;
}
