import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;

/// The test cases of one report file, in the format of Surefire and of JUnit's console.
///
/// @param suite the name of the suite: with Surefire, that of the test class
record Report(String suite, List<Case> cases) {
    /// No report of ours comes near; one that does is a test that floods its output.
    private static final long MAX_BYTES = 256L << 20;

    private static final int MAX_REASON = 1000;

    /// Limits of the JDK's parser for the length of an attribute and of all of them.
    private static final List<String> LIMITS =
            List.of("jdk.xml.maxGeneralEntitySizeLimit", "jdk.xml.totalEntitySizeLimit");

    enum Result {
        PASSED,
        FAILED,
        SKIPPED
    }

    /// @param type the name of the class
    /// @param reason why it failed or was skipped; empty if it passed
    record Case(String type, String name, Result result, String reason, double seconds) {
        /// The class and the method, without package and parameters.
        String label() {
            String method = name.replaceFirst("[({\\[ ].*", "");
            return type.substring(type.lastIndexOf('.') + 1) + "." + method;
        }

        /// The class around all others.
        String topLevelType() {
            int nested = type.indexOf('$');
            return nested < 0 ? type : type.substring(0, nested);
        }
    }

    /// A file that is no report.
    static final class Unreadable extends Exception {
        private static final long serialVersionUID = 1;

        Unreadable(Path file, String reason) {
            super(file + ": " + reason);
        }
    }

    static Report read(Path file) throws Unreadable {
        try (InputStream input = Files.newInputStream(file)) {
            long size = Files.size(file);
            if (size > MAX_BYTES) {
                throw new Unreadable(file, "%d bytes, more than %d".formatted(size, MAX_BYTES));
            }
            XMLInputFactory factory = XMLInputFactory.newFactory();
            // It comes from a test, and may name no other file.
            factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
            factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
            // A failed comparison of two documents has long messages. The size of the file is the
            // limit.
            for (String limit : LIMITS) {
                factory.setProperty(limit, 0);
            }
            return new Reader(factory.createXMLStreamReader(input)).report();
        } catch (XMLStreamException | IOException | IllegalArgumentException e) {
            throw new Unreadable(file, String.valueOf(e.getMessage()).replaceAll("\\R", " "));
        }
    }

    /// Reads element by element: output of tests, which may be long, is left out.
    private static final class Reader {
        private final XMLStreamReader xml;
        private final List<Case> cases = new ArrayList<>();

        Reader(XMLStreamReader xml) {
            this.xml = xml;
        }

        Report report() throws XMLStreamException {
            xml.nextTag();
            if (!xml.getLocalName().equals("testsuite")) {
                throw new IllegalArgumentException("no test suite, but " + xml.getLocalName());
            }
            String suite = attribute("name");
            while (xml.next() != XMLStreamConstants.END_DOCUMENT) {
                if (isAt("testcase")) {
                    cases.add(testCase());
                }
            }
            return new Report(suite, List.copyOf(cases));
        }

        private boolean isAt(String element) {
            return xml.isStartElement() && xml.getLocalName().equals(element);
        }

        private String attribute(String name) {
            String value = xml.getAttributeValue(null, name);
            return value == null ? "" : value;
        }

        private Case testCase() throws XMLStreamException {
            String type = attribute("classname");
            String name = attribute("name");
            String time = attribute("time").replace(",", "");
            double seconds = time.isEmpty() ? 0 : Double.parseDouble(time);
            Result result = Result.PASSED;
            String reason = "";
            for (xml.next(); !isAtEndOf("testcase"); xml.next()) {
                if (isAt("failure") || isAt("error")) {
                    result = Result.FAILED;
                    reason = reason();
                } else if (isAt("skipped")) {
                    result = Result.SKIPPED;
                    reason = reason();
                }
            }
            return new Case(type, name, result, reason, seconds);
        }

        private boolean isAtEndOf(String element) {
            return xml.isEndElement() && xml.getLocalName().equals(element);
        }

        /// The first line of the message: Surefire's is an attribute, the console's is text.
        private String reason() throws XMLStreamException {
            String element = xml.getLocalName();
            StringBuilder text = new StringBuilder(attribute("message"));
            boolean hasMessage = !text.toString().isBlank();
            for (xml.next(); !isAtEndOf(element); xml.next()) {
                if (xml.hasText() && !hasMessage && text.length() < MAX_REASON) {
                    text.append(xml.getText());
                }
            }
            String line =
                    text.toString()
                            .strip()
                            .replaceFirst("(?s)\\R.*", "")
                            .replaceFirst("^\\S*TestAbortedException: ", "")
                            .replaceFirst("^Assumption failed: ", "");
            return line.length() <= MAX_REASON ? line : line.substring(0, MAX_REASON) + "...";
        }
    }
}
