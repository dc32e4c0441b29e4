import views from "../views.json";

/** A view: the first segment of its address. The service answers addresses of these views alone, so it reads the same file. */
export type View = keyof typeof views;

/** The address of a view, with what follows it. */
export function at<V extends View, Rest extends string = "">(view: V, rest?: Rest): `/${V}${Rest}` {
  return `/${view}${rest ?? ("" as Rest)}`;
}

/** The name of a view in the navigation. */
export function nameOf(view: View): string {
  return views[view];
}
