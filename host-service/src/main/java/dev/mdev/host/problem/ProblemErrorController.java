package dev.mdev.host.problem;

import jakarta.servlet.RequestDispatcher;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.jspecify.annotations.Nullable;
import org.springframework.boot.webmvc.error.ErrorController;
import org.springframework.http.MediaType;
import org.springframework.http.ProblemDetail;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

import java.util.UUID;

/// Answers requests that the servlet container forwards after an error outside all controllers. The
/// container also forwards a response that is already in transit: then nothing more can be sent.
@RestController
class ProblemErrorController implements ErrorController {
    @RequestMapping("/error")
    @Nullable ResponseEntity<ProblemDetail> error(
            HttpServletRequest request, HttpServletResponse response) {
        if (response.isCommitted()) {
            return null;
        }
        Object status = request.getAttribute(RequestDispatcher.ERROR_STATUS_CODE);
        // A direct request has no error to report, and the page does not exist.
        Problem problem = Problem.ofStatus(status instanceof Integer code ? code : 404);
        Object known = request.getAttribute(Problems.REQUEST_ID);
        String id = known instanceof String text ? text : UUID.randomUUID().toString();
        // The container has cleared the headers.
        return ResponseEntity.status(problem.status())
                .header(Problems.REQUEST_ID_HEADER, id)
                .contentType(MediaType.APPLICATION_PROBLEM_JSON)
                .body(Problems.of(problem, problem.title() + ".", id));
    }
}
