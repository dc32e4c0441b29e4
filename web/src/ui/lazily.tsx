import { Alert, Button, Group, Text } from "@mantine/core";
import { type ComponentType, type ReactNode, Suspense, use, useEffect, useReducer } from "react";
import { Loading } from "./states";

/** The pause between automatic retries of a part that failed to load. */
const PAUSE = 5_000;

type Loaded<Properties> = ComponentType<Properties> | null;
/** A component that is loaded when it is first drawn, or preloaded. */
export type Lazy<Properties> = ((properties: Properties) => ReactNode) & { preload: () => Promise<void> };

const parts: (() => Promise<unknown>)[] = [];

/**
 * A component in a separate file. If the file cannot be loaded, the page stays, and loading is retried.
 * (The router would reload the page, and React would give up.) Its style has to be loaded with the page,
 * because Vite requests it only once.
 */
export function lazily<Module, Properties extends object>(
  load: () => Promise<Module>,
  pick: (module: Module) => ComponentType<Properties>,
): Lazy<Properties> {
  let loading: Promise<Loaded<Properties>> | null = null;
  let isFailed = false;
  const attempt = () => {
    if (loading === null || isFailed) {
      isFailed = false;
      loading = load().then(pick, () => {
        isFailed = true;
        return null;
      });
    }
    return loading;
  };
  function Part(properties: Properties) {
    const [, draw] = useReducer((tries: number) => tries + 1, 0);
    const Found = use(loading ?? attempt());
    if (Found !== null) return <Found {...properties} />;
    return <NotLoaded onRetry={() => void attempt().then(draw)} />;
  }
  parts.push(attempt);
  return Object.assign(Part, { preload: async () => void (await attempt()) });
}

/** A page in a separate file. */
export function page<Module>(load: () => Promise<Module>, pick: (module: Module) => ComponentType): Lazy<object> {
  const Part = lazily(load, pick);
  const Page = () => (
    <Suspense fallback={<Loading />}>
      <Part />
    </Suspense>
  );
  return Object.assign(Page, { preload: Part.preload });
}

/**
 * Preloads every part, so that all pages open even if the service cannot be reached. Waits until the
 * first page has loaded nothing for `quiet` milliseconds, at most ten times as long.
 */
export function preloadWhenQuiet(quiet: number): void {
  const preload = () => {
    observer.disconnect();
    clearTimeout(timer);
    clearTimeout(last);
    for (const load of parts) void load();
  };
  const observer = new PerformanceObserver(() => {
    clearTimeout(timer);
    timer = setTimeout(preload, quiet);
  });
  let timer = setTimeout(preload, quiet);
  const last = setTimeout(preload, 10 * quiet);
  observer.observe({ type: "resource" });
}

function NotLoaded({ onRetry }: { onRetry: () => void }) {
  useEffect(() => {
    const timer = setInterval(onRetry, PAUSE);
    return () => clearInterval(timer);
  });
  return (
    <Alert color="red" variant="outline" title="The service cannot be reached" role="alert" m="md">
      <Group justify="space-between">
        <Text size="sm">This part of the page could not be loaded. Trying again…</Text>
        <Button size="xs" variant="default" onClick={onRetry}>
          Try again
        </Button>
      </Group>
    </Alert>
  );
}
