import views from "../views.json";

/** A view: the first segment of its path. The service serves only the paths of these views, from the same file. */
export type View = keyof typeof views;

/** The path of a view, followed by `rest`. */
export function at<V extends View, Rest extends string = "">(view: V, rest?: Rest): `/${V}${Rest}` {
  return `/${view}${rest ?? ("" as Rest)}`;
}

/** The name of a view in the navigation. */
export function nameOf(view: View): string {
  return views[view];
}
