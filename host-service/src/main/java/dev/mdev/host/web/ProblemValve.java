package dev.mdev.host.web;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.Problems;

import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ErrorReportValve;
import org.springframework.http.MediaType;

import java.io.IOException;
import java.io.Writer;
import java.util.UUID;

/// Answers requests that Tomcat refuses before they reach the application, such as a malformed
/// request line. Tomcat creates it by its class name.
public final class ProblemValve extends ErrorReportValve {
    @Override
    protected void report(Request request, Response response, Throwable throwable) {
        int status = response.getStatus();
        if (status < 400 || response.getContentWritten() > 0 || !response.setErrorReported()) {
            return;
        }
        Problem problem = Problem.ofStatus(status);
        // RequestIdFilter has not run, or its id is known already.
        String id = response.getHeader(Problems.REQUEST_ID_HEADER);
        if (id == null) {
            id = UUID.randomUUID().toString();
            response.setHeader(Problems.REQUEST_ID_HEADER, id);
        }
        String body =
                """
                {"instance":"urn:uuid:%s","type":"%s","title":"%s","status":%d,"code":"%s","retryable":%b}\
                """
                        .formatted(
                                id,
                                problem.type(),
                                problem.title(),
                                status,
                                problem.code(),
                                problem.retryable());
        try {
            response.setContentType(MediaType.APPLICATION_PROBLEM_JSON_VALUE);
            response.setCharacterEncoding("UTF-8");
            Writer writer = response.getReporter();
            if (writer != null) {
                writer.write(body);
                response.finishResponse();
            }
        } catch (IOException e) {
            containerLogger().debug("a client left before it got its error", e);
        }
    }

    private org.apache.juli.logging.Log containerLogger() {
        return getContainer().getLogger();
    }
}
