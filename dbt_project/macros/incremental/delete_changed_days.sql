{#
    First half of the day rule, the pre-hook of every incremental mart: delete the days that no longer are what the mart
    was built from. `upstream` and `built` are queries for operation_date and day_fingerprint of what the mart reads and of
    what it holds. A day that lost all its rows has no fingerprint upstream, so it goes as well.
    It runs in the transaction of the model: a build that dies leaves the mart as it was.
#}
{% macro delete_changed_days(upstream, built) -%}
    {%- if is_incremental() -%}
    delete from {{ this }}
    where operation_date in (
        select built.operation_date
        from ({{ built }}) as built
        left join ({{ upstream }}) as upstream
            on
                built.operation_date = upstream.operation_date
                and built.day_fingerprint = upstream.day_fingerprint
        where upstream.operation_date is null
    )
    {%- endif -%}
{%- endmacro %}
