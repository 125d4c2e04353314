package dev.mdev.host.web;

import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.RestControllerAdvice;

import java.net.URI;

/// Answers the requests whose work goes on (RFC 7240, section 4.1).
@RestControllerAdvice
@Order(Ordered.HIGHEST_PRECEDENCE)
final class AcceptedAdvice {
    @ExceptionHandler
    ResponseEntity<Object> onAccepted(AcceptedException e) {
        return ResponseEntity.accepted()
                .location(URI.create(e.path()))
                .header(Preference.APPLIED, Preference.ASYNC)
                .body(e.operation());
    }
}
