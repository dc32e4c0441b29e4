import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from "@mantine/core";

const pine: MantineColorsTuple = [
  "#effcf9",
  "#d5f5ee",
  "#a9eadd",
  "#78dcca",
  "#45c8b3",
  "#23ab98",
  "#148a7c",
  "#127065",
  "#115a52",
  "#0f4a44",
];

const dark: MantineColorsTuple = [
  "#d5dcda",
  "#b9c3c0",
  "#8d9895",
  "#6d7875",
  "#434d4a",
  "#36403d",
  "#232b29",
  "#1b2120",
  "#161b1a",
  "#101413",
];

export const theme = createTheme({
  colors: { pine, dark },
  primaryColor: "pine",
  primaryShade: 7,
  autoContrast: true,
  defaultRadius: "md",
  fontFamily: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
  headings: { fontWeight: "650" },
  cursorType: "pointer",
});

// the library's dimmed texts have too little contrast for WCAG AA
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-body": "#f7f9f8",
    "--mantine-color-dimmed": "#56635f",
    "--mantine-color-placeholder": "#66736f",
    "--mantine-color-error": "#c22525",
    "--mantine-color-default-border": "#d6dedb",
  },
  dark: {
    "--mantine-color-body": "#161b1a",
    "--mantine-color-disabled": "#323c39",
    "--mantine-color-disabled-color": "#8d9895",
    "--mantine-color-dimmed": "#a8b4b0",
    "--mantine-color-placeholder": "#96a29e",
    "--mantine-color-error": "#ff9494",
  },
});

/** The Mantine color of each event type. */
export const eventColors = {
  OPEN: "pine",
  CLICK: "blue",
  UNSUBSCRIBE: "yellow",
  COMPLAINT: "red",
  BOUNCE: "orange",
} as const;
