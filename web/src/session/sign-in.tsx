import { Alert, Button, Center, Code, Stack, Text, Textarea } from "@mantine/core";
import { useState } from "react";
import { PageTitle } from "../ui/page-title";
import { issuerName, signIn } from "./issuer";

/** The sign-in page. */
export function SignIn({ why, onToken }: { why: string | null; onToken: (token: string) => void }) {
  const [text, setText] = useState("");
  const [isLeaving, setLeaving] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const leave = async () => {
    setLeaving(true);
    setFailure(null);
    try {
      await signIn();
    } catch (error) {
      setLeaving(false);
      setFailure(`${issuerName} is not responding: ${(error as Error).message}`);
    }
  };
  const message = failure ?? why;
  return (
    <Center mih="90vh" p="md">
      <main className="panel" aria-labelledby="sign-in">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (text.trim() !== "") onToken(text);
          }}
        >
          <Stack p="xl" maw={460}>
            <PageTitle id="sign-in">Sign in</PageTitle>
            {message !== null && (
              <Alert color="yellow" variant="outline" role="alert">
                {message}
              </Alert>
            )}
            {issuerName !== null && (
              <Button loading={isLeaving} onClick={leave}>
                Sign in with {issuerName}
              </Button>
            )}
            <Textarea
              label="Token"
              description="Paste your token. All tabs of this page share it until you close the last one."
              value={text}
              onChange={(event) => setText(event.currentTarget.value)}
              rows={5}
              autoComplete="off"
              spellCheck={false}
              data-autofocus
            />
            <Button
              type="submit"
              variant={issuerName === null ? "filled" : "default"}
              disabled={text.trim() === ""}
            >
              {issuerName === null ? "Sign in" : "Sign in with the token"}
            </Button>
            <Text size="sm" c="dimmed">
              In development, follow the link that the service prints, or print a token with{" "}
              <Code>campaigns token --org UUID</Code>.
            </Text>
          </Stack>
        </form>
      </main>
    </Center>
  );
}
