package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.net.URI;
import java.util.ArrayDeque;
import java.util.List;
import java.util.TreeSet;
import java.util.regex.Pattern;

/// The page at `/`, as files. What it does is in `BrowserTest`.
class PageTest extends HostTest {
    private static final Pattern REFERENCE =
            Pattern.compile("(?:src|href|from)(?:=| )\"([^\"#]+)\"");
    private static final Pattern INLINE =
            Pattern.compile(
                    "(?i)<style|\\sstyle=|\\son[a-z]+=|<script(?![^>]*\\ssrc=)|javascript:");

    @Test
    void everyFileThatItNamesIsThere() {
        TreeSet<String> seen = new TreeSet<>();
        ArrayDeque<String> left = new ArrayDeque<>(List.of("/", "/docs"));
        while (!left.isEmpty()) {
            String path = left.remove();
            Answer answer = api.get(path).requireStatus(200);
            boolean hasNames = path.endsWith(".js") || path.equals("/") || path.equals("/docs");
            if (!seen.add(path) || !hasNames || path.startsWith("/webjars/")) {
                continue;
            }
            REFERENCE
                    .matcher(answer.text())
                    .results()
                    .map(found -> resolve(path, found.group(1)))
                    .forEach(left::add);
        }
        assertThat(seen)
                .contains("/page.css", "/app/main.js", "/app/views/device.js", "/docs/docs.js")
                .anyMatch(path -> path.matches("/webjars/preact/[0-9.]+/dist/preact.module.js"));
    }

    private static String resolve(String path, String name) {
        return URI.create("http://host" + path).resolve(name).getPath();
    }

    @Test
    void aBrowserMayRunItsOwnFilesOnly() {
        Answer page = api.get("/").requireStatus(200);
        String policy = page.headers().firstValue("Content-Security-Policy").orElseThrow();
        assertThat(policy)
                .contains(
                        "default-src 'none'",
                        "script-src 'self'",
                        "frame-ancestors 'none'",
                        "require-trusted-types-for 'script'")
                .doesNotContain("unsafe", "http:", "https:", "*");
        assertThat(INLINE.matcher(page.text()).find()).isFalse();
        assertThat(INLINE.matcher("<p style=\"color:red\">").find())
                .as("the rule knows such a line when it sees it")
                .isTrue();
        for (String path : List.of("/api/v1/mdevs", "/nowhere", "/api/v1/mdevs/%2e%2e/x")) {
            assertThat(api.get(path).headers().firstValue("Content-Security-Policy"))
                    .as(path)
                    .hasValue(policy);
        }
    }

    /// A file of a jar has the time of the build, which may be the same for two versions.
    @Test
    void anUpgradeIsSeenAtOnce() {
        Answer script = api.get("/app/main.js").requireStatus(200);
        assertThat(script.headers().firstValue("Cache-Control")).hasValue("no-cache");
        assertThat(script.headers().firstValue("Last-Modified")).isEmpty();
    }
}
